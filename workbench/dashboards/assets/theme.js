// Sets the theme before anything is painted: the visitor's choice, else the system's. Wires the toggle.
(() => {
  const root = document.documentElement
  const system = matchMedia("(prefers-color-scheme: dark)")
  const chosen = () => {
    try { return localStorage.getItem("workbench-theme") } catch { return null }
  }
  const apply = () => {
    root.dataset.theme = chosen() || (system.matches ? "dark" : "light")
    for (const picture of document.querySelectorAll("img[data-light]")) {
      picture.src = picture.dataset[root.dataset.theme]
    }
    for (const toggle of document.querySelectorAll(".theme")) {
      toggle.setAttribute("aria-pressed", String(root.dataset.theme === "dark"))
    }
  }
  apply()
  system.addEventListener("change", apply)
  addEventListener("DOMContentLoaded", () => {
    apply()
    for (const toggle of document.querySelectorAll(".theme")) {
      toggle.addEventListener("click", () => {
        try { localStorage.setItem("workbench-theme", root.dataset.theme === "dark" ? "light" : "dark") } catch { /* private window */ }
        apply()
      })
    }
  })
})()
