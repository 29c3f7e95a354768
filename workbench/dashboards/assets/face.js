// One explorer on screen: controls, picture, and the conversation with its Python side over Panel's connection.
// To Python: hello, set, stop, image, forget, export. From Python: frame, refused, trouble, stopped, progress, controls, export.
// What a visitor may bring: the files that the picker offers, and how they are called.
const OWN = {
  image: ["image/png,image/jpeg,image/gif,image/bmp,image/webp", "PNG, JPEG, GIF, BMP or WebP"],
  molecule: [".xyz,.extxyz", "An .xyz file, plain or extended, its first frame"],
}

const LINK_REST = 300 // ms without a new picture after which the address follows; browsers limit how often it may
const PATIENCE = 250 // ms before the visitor is told that something takes its time

const LOST = "The connection to the server is lost; the picture stays as it is. Once the server runs again, reload the "
  + "page: its address leads back to this state."

class Face {
  constructor(model) {
    this.model = model
    this.spec = model.spec
    this.ticket = 0
    this.inFlight = false
    this.next = null // the newest move that waits for the answer to the one before
    this.controls = new Map()
    this.build()
    model.on("msg:custom", (message) => this.receive(message))
    this.watchTheme()
    this.watchConnection()
  }

  // ---- what is on screen

  build() {
    const {spec} = this
    this.gd = h("div", {class: "gd", role: "img", "aria-label": `${spec.title}: picture. Its numbers are under “Numbers”.`})
    this.picture = new Picture(this.gd)
    this.alarm = h("div", {class: "alarm", role: "alert", hidden: true})
    this.note = h("span", {class: "note", role: "status"})
    this.bar = h("progress", {max: "1", "aria-label": "progress"})
    this.busy = h("div", {class: "busy", hidden: true}, this.bar, h("span", {}, "Computing"),
      h("button", {type: "button", onclick: () => this.post({kind: "stop"})}, "Stop"))
    this.panel = h("form", {class: "controls", "aria-label": "Controls", onsubmit: (event) => event.preventDefault()})
    this.output = h("div", {class: "output", hidden: true})
    this.showControls(spec.controls)
    const headline = h("header", {}, h("p", {class: "title"}, spec.title), h("h1", {}, spec.question))
    const stage = h("section", {class: "stage", "aria-label": "Picture"}, h("div", {class: "over"}, h("div", {class: "status"}, this.busy, this.note), this.buildTools()),
      this.alarm, h("div", {class: "card"}, this.gd), this.output)
    const side = h("aside", {}, this.panel, this.buildOwn(), this.buildExplanation())
    this.el = h("article", {class: "face"}, headline, h("div", {class: "columns"}, side, stage))
    if (spec.notice) this.warn(spec.notice)
  }

  showControls(specs) {
    const focused = this.panel.getRootNode().activeElement?.closest?.(".control")?.dataset.name
    this.controls = new Map(specs.map((spec) => [spec.name, buildControl(spec, (name, text) => this.move(name, text))]))
    this.panel.replaceChildren(...[...this.controls.values()].map((control) => control.el))
    for (const spec of specs) this.controls.get(spec.name).show(spec.value)
    if (focused) this.controls.get(focused)?.el.querySelector("input, select")?.focus()
  }

  showValues(values) {
    for (const [name, text] of Object.entries(values)) this.controls.get(name)?.show(text)
  }

  buildExplanation() {
    const paragraphs = (this.spec.explanation || "").split(/\n\s*\n/).filter((text) => text.trim())
    const docs = this.spec.controls.flatMap(({label, doc}) => [h("dt", {}, label), h("dd", {}, doc)])
    return h("details", {class: "about"}, h("summary", {}, "What do the controls do?"),
      ...paragraphs.map((text) => h("p", {}, text.replace(/\s+/g, " ").trim())), h("dl", {}, ...docs))
  }

  buildTools() {
    const file = this.spec.slug
    const tool = (label, hint, action) => h("button", {type: "button", title: hint, onclick: action}, label)
    const ask = (what) => () => this.post({kind: "export", what})
    return h("div", {class: "tools", role: "group", "aria-label": "Take it with you"},
      tool("PNG", "Save the picture as PNG", () => this.picture.save("png", file)),
      tool("SVG", "Save the picture as SVG", () => this.picture.save("svg", file)),
      tool("Data", "Save the numbers behind the picture as NetCDF", ask("data")),
      tool("Numbers", "Show the numbers as a table", ask("table")),
      tool("Code", "Show the Python code that reproduces this state", ask("code")),
      tool("Copy link", "Copy the address of this state", () => this.copy(this.showLink(), "The link is copied.")))
  }

  buildOwn() {
    const kind = this.spec.image_bytes ? "image" : "molecule"
    const bytes = this.spec[`${kind}_bytes`]
    if (!bytes) return null
    const [accept, formats] = OWN[kind]
    const id = `own-${kind}`
    const picker = h("input", {type: "file", id, accept, onchange: () => this.sendOwn(picker, kind, bytes)})
    this.forget = h("button", {type: "button", hidden: true, onclick: () => this.post({kind: "forget"})}, "Use ours again")
    this.own = h("p", {class: "help", role: "status"})
    this.ownKind = kind
    const most = `at most ${(bytes / 2 ** 20).toFixed(0)} MB`
    return h("div", {class: "own"}, h("div", {class: "head"}, h("label", {for: id}, `Your own ${kind}`), this.forget), picker, this.own,
      h("p", {class: "help"}, `${formats}, ${most}. It stays on the machine that runs this page and is forgotten when you leave.`))
  }

  // ---- moves: one on its way, the newest waits, whatever was in between is dropped

  move(name, text) {
    this.warn("")
    if (this.inFlight) { this.next = {...this.next, [name]: text}; return }
    this.inFlight = true
    this.ticket += 1
    this.waiting(true)
    this.post({kind: "set", ticket: this.ticket, values: {[name]: text}})
  }

  answered() {
    this.inFlight = false
    this.waiting(false)
    if (this.next === null) return
    const values = this.next
    this.next = null
    this.inFlight = true
    this.ticket += 1
    this.waiting(true)
    this.post({kind: "set", ticket: this.ticket, values})
  }

  post(message) { this.model.send_msg(message) }

  receive(message) { this[`on_${message.kind}`](message) }

  on_frame({ticket, text, buffer, coarse, controls, values, link, showing, timing}) {
    const received = performance.now()
    if (ticket === this.ticket && this.inFlight) this.answered()
    const bytes = buffer instanceof Uint8Array ? buffer : new Uint8Array(buffer)
    const figure = unpack(JSON.parse(text), bytes)
    Object.assign(figure.layout.meta, {ticket, received, ...timing})
    this.busy.hidden = !coarse
    this.el.classList.toggle("coarse", coarse)
    this.say(coarse ? "a first, coarse answer" : showing)
    if (controls) this.showControls(controls)
    else this.showValues(values)
    this.picture.draw(figure)
    this.link = link
    clearTimeout(this.linkTimer)
    this.linkTimer = setTimeout(() => this.showLink(), LINK_REST)
  }

  on_refused({sentence, values}) {
    this.warn(sentence)
    this.showValues(values)
    this.answered()
  }

  on_trouble({sentence}) { this.warn(sentence); this.settle() }

  on_stopped() { this.say("Stopped: the picture shows the last finished state."); this.settle() }

  on_progress({fraction}) { this.busy.hidden = false; this.bar.value = fraction }

  on_image({name}) {
    this.warn("")
    this.forget.hidden = !name
    this.own.textContent = name ? `Showing your ${this.ownKind} ${name}.` : ""
  }

  on_export({what, text, buffer, filename}) {
    if (what === "data") return this.download(new Blob([buffer]), filename)
    const body = what === "table" ? tableFrom(text) : h("pre", {tabindex: "0"}, text)
    const copy = what === "code" ? h("button", {type: "button", onclick: () => this.copy(text, "The code is copied.")}, "Copy") : null
    const close = h("button", {type: "button", onclick: () => { this.output.hidden = true }}, "Close")
    const heading = what === "code" ? "Python code for this state" : "The numbers behind the picture"
    this.output.replaceChildren(h("div", {class: "head"}, h("h2", {}, heading), copy, close), body)
    this.output.hidden = false
    this.output.scrollIntoView({block: "nearest", behavior: "smooth"})
  }

  // The address of the page always leads to the picture it shows.
  showLink() {
    clearTimeout(this.linkTimer)
    if (this.link) history.replaceState(null, "", this.link)
    return location.href
  }

  settle() {
    this.busy.hidden = true
    this.el.classList.remove("coarse")
    if (this.inFlight) this.answered()
  }

  // ---- telling the visitor

  waiting(on) {
    clearTimeout(this.timer)
    this.gd.setAttribute("aria-busy", String(on))
    if (on) this.timer = setTimeout(() => { this.bar.removeAttribute("value"); this.busy.hidden = false }, PATIENCE)
    else this.busy.hidden = true
  }

  warn(sentence) {
    this.alarm.hidden = !sentence
    this.alarm.textContent = sentence || ""
  }

  say(words) {
    if (this.note.textContent !== (words || "")) this.note.textContent = words || ""
  }

  async copy(text, done) {
    try {
      await navigator.clipboard.writeText(text)
      this.say(done)
    } catch {
      this.on_export({what: "code", text})
    }
  }

  download(blob, filename) {
    const url = URL.createObjectURL(blob)
    h("a", {href: url, download: filename}).click()
    setTimeout(() => URL.revokeObjectURL(url), 10_000)
  }

  async sendOwn(picker, kind, bytes) {
    const [file] = picker.files
    if (!file) return
    this.warn("")
    if (file.size > bytes) {
      const most = (bytes / 2 ** 20).toFixed(0)
      this.warn(`${file.name} has ${(file.size / 2 ** 20).toFixed(1)} MB, but at most ${most} MB were expected; make it smaller.`)
    } else {
      this.post({kind, name: file.name, data: await file.arrayBuffer()})
    }
    picker.value = ""
  }

  watchTheme() {
    this.observer = new MutationObserver(() => this.picture.draw())
    this.observer.observe(document.documentElement, {attributes: true, attributeFilter: ["data-theme"]})
  }

  watchConnection() {
    const page = this.model.document
    page.on_event("connection_lost", () => {
      this.waiting(false)
      this.warn(LOST)
    })
    page.on_event("client_reconnected", () => {
      this.warn("")
      this.inFlight = false
      this.post({kind: "hello"})
    })
  }

  leave() { clearTimeout(this.linkTimer); this.observer.disconnect(); globalThis.Plotly?.purge(this.gd) }
}

// The server escaped every cell; parsed apart from the page, only its tables and paragraphs are taken over.
function tableFrom(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html")
  return h("div", {class: "table", tabindex: "0"}, ...parsed.querySelectorAll("body > p, body > table"))
}

export function render({model}) {
  const face = new Face(model)
  model.on("remove", () => face.leave())
  plotlyReady().then(() => face.post({kind: "hello"}), (error) => face.warn(error.message))
  return face.el
}
