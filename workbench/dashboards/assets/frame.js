// Unpacks a figure that `frames.pack` wrote and draws it in the page's theme.
const TYPES = {
  int8: Int8Array, uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array,
  int32: Int32Array, uint32: Uint32Array, float32: Float32Array, float64: Float64Array,
}

function unpack(node, bytes) {
  if (Array.isArray(node)) return node.map((item) => unpack(item, bytes))
  if (node === null || typeof node !== "object") return node
  if (node.$) return rows(...node.$, bytes)
  const out = {}
  for (const key of Object.keys(node)) out[key] = unpack(node[key], bytes)
  return out
}

function rows(offset, type, shape, bytes) {
  const length = shape.reduce((product, size) => product * size, 1)
  const flat = new TYPES[type](bytes.buffer, bytes.byteOffset + offset, length)
  const nest = (depth, start, size) => {
    if (depth === shape.length - 1) return flat.subarray(start, start + size)
    const step = size / shape[depth]
    return Array.from({length: shape[depth]}, (_, i) => nest(depth + 1, start + i * step, step))
  }
  return length ? nest(0, 0, length) : []
}

// Plotly writes its style sheet into the document's head, where this shadow root does not see it.
function adoptPlotlyStyle(root) {
  if (root === document || root.querySelector("style[data-plotly]")) return
  const sheets = [...document.querySelectorAll("style[id^='plotly.js-style']")]
  const style = document.createElement("style")
  style.dataset.plotly = ""
  style.textContent = sheets.flatMap((s) => [...s.sheet.cssRules].map((rule) => rule.cssText)).join("\n")
  if (style.textContent) root.append(style)
}

function colours(el) {
  const style = getComputedStyle(el)
  const of = (name) => style.getPropertyValue(name).trim()
  return {ink: of("--ink"), card: of("--card"), line: of("--line"), family: of("--sans")}
}

// What a view leaves open is decided here; its sizes stay, its text takes the page's letters and colours.
const OPEN = {gridcolor: "rgba(128,128,128,0.22)", zerolinecolor: "rgba(128,128,128,0.4)", automargin: true}

function themed(layout, {ink, card, line, family}) {
  return {
    height: 460,
    template: {layout: {xaxis: OPEN, yaxis: OPEN}},
    ...layout,
    autosize: true,
    font: {...layout.font, color: ink, family},
    hoverlabel: {bgcolor: card, bordercolor: line, ...layout.hoverlabel, font: {...layout.hoverlabel?.font, color: ink}},
    paper_bgcolor: layout.paper_bgcolor ?? "rgba(0,0,0,0)",
    plot_bgcolor: layout.plot_bgcolor ?? "rgba(0,0,0,0)",
  }
}

const CONFIG = {responsive: true, displayModeBar: false, displaylogo: false, scrollZoom: false, doubleClick: "reset"}

// What the picture says first, for a screen reader.
function heading({annotations = []}) {
  const found = annotations.find(({text}) => text?.startsWith("<b>"))?.text ?? ""
  return new DOMParser().parseFromString(found.replaceAll("<br>", ". "), "text/html").body.textContent
}

class Picture {
  constructor(gd) {
    this.gd = gd
    this.figure = null
    this.busy = false
    this.again = false
  }

  // One drawing at a time; while one runs, only the newest figure waits.
  async draw(figure) {
    this.figure = figure ?? this.figure
    if (this.figure === null) return
    if (this.busy) { this.again = true; return }
    this.busy = true
    try {
      do {
        this.again = false
        const {data, layout} = this.figure
        const first = !this.gd.classList.contains("js-plotly-plot")
        await globalThis.Plotly[first ? "newPlot" : "react"](this.gd, data, themed(layout, colours(this.gd)), CONFIG)
        if (first) adoptPlotlyStyle(this.gd.getRootNode())
        this.told ??= this.gd.getAttribute("aria-label") ?? ""
        this.gd.setAttribute("aria-label", [this.told, heading(layout)].filter(Boolean).join(" "))
      } while (this.again)
    } finally {
      this.busy = false
    }
  }

  async save(format, filename) {
    const {clientWidth: width, clientHeight: height} = this.gd
    const onPaper = {...colours(this.gd), ink: "#191b20", card: "#ffffff", line: "#dedcd5"}
    const layout = {...themed(this.figure.layout, onPaper), paper_bgcolor: "#ffffff"}
    await globalThis.Plotly.downloadImage({data: this.figure.data, layout, config: CONFIG}, {format, width, height, filename, scale: format === "png" ? 2 : 1})
  }
}

// The page loads plotly beside Panel's scripts; whoever comes first waits here.
async function plotlyReady(seconds = 20) {
  const until = performance.now() + seconds * 1000
  while (!globalThis.Plotly) {
    if (performance.now() > until) throw new Error("plotly was not loaded within 20 s; reload the page.")
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
