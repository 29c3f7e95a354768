// Draws each figure from the JSON beside it, in the ink of the page, and again when theme, width or paper change.
"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)")
  const figures = [...document.querySelectorAll('script[type="application/json"]')].map((holder) => ({
    place: document.getElementById(holder.id.replace("figure-", "picture-")),
    figure: JSON.parse(holder.textContent),
  }))
  const ink = () => getComputedStyle(document.body).color

  function draw(width, colour) {
    for (const {place, figure} of figures) {
      const first = !place.classList.contains("js-plotly-plot")
      if (first) place.replaceChildren()
      const font = {...figure.layout.font, color: colour}
      const layout = {...figure.layout, font, width: width ?? place.clientWidth}
      Plotly.react(place, figure.data, layout, {displaylogo: false, responsive: false, displayModeBar: false})
    }
  }

  if (figures.length) {
    draw(null, ink())
    dark.addEventListener("change", () => draw(null, ink()))
    addEventListener("resize", () => draw(null, ink()))
    addEventListener("beforeprint", () => draw(660, "#191b20"))
    addEventListener("afterprint", () => draw(null, ink()))
  }
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((box) => { box.open = true }))
})()
