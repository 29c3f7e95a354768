// The picture of an explorer: one plotly figure patched by binary messages, its status row and its buttons.
// Python decides everything that is computed; this file decodes, draws, themes and saves.

const PLOTLY_LIMIT = 20_000; // ms to wait for plotly.js before a readable message takes the picture's place
const LARGEST_SIDE = 256; // px; a reader's own image is shrunk on the page to at most this
const LARGEST_MOLECULE = 2 ** 20; // bytes
const OWN = {
  image: {
    accept: "image/*", said: "Your image …", name: "Your own image",
    title: "Bring a picture of your own; it stays on this machine", back: "Use the picture of the controls again",
  },
  molecule: {
    accept: ".xyz,.extxyz", said: "Your molecule …", name: "Your own molecule",
    title: "Bring an .xyz file of your own; it stays on this machine", back: "Use the molecule of the controls again",
  },
};
const REST = 250; // ms without a new picture after which an open panel is brought up to date
const LONG_REST = 1500; // ms without a new picture after which the notebook gets it as a still image
const TYPES = {
  uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int16: Int16Array,
  uint32: Uint32Array, int32: Int32Array, float32: Float32Array, float64: Float64Array,
};

// ---- messages to figures

function toArray(view, dtype, shape) {
  const bytes = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
  const nest = (flat, [, ...inner]) => {
    if (!inner.length) return flat;
    const size = inner.reduce((a, b) => a * b, 1);
    return Array.from({ length: size ? flat.length / size : 0 }, (_, i) =>
      nest(flat.subarray(i * size, (i + 1) * size), inner));
  };
  return nest(new TYPES[dtype](bytes), shape);
}

function decode(node, buffers) {
  if (Array.isArray(node)) return node.map((part) => decode(part, buffers));
  if (node === null || typeof node !== "object") return node;
  if ("__array__" in node) return toArray(buffers[node.__array__], node.dtype, node.shape);
  return Object.fromEntries(Object.entries(node).map(([key, part]) => [key, decode(part, buffers)]));
}

// ---- theme

const darkSystem = globalThis.matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const lab = document.body.dataset.jpThemeLight; // JupyterLab's own choice goes before the system's
  return lab === undefined ? darkSystem.matches : lab === "false";
}

function merge(base, over) {
  const plain = (value) => value && typeof value === "object" && !Array.isArray(value) && !ArrayBuffer.isView(value);
  const merged = { ...base };
  for (const [key, value] of Object.entries(over ?? {}))
    merged[key] = plain(value) && plain(merged[key]) ? merge(merged[key], value) : value;
  return merged;
}

function colours() {
  return isDark()
    ? { text: "#e3e6ea", soft: "#a8b0ba", grid: "rgba(160,170,185,0.16)", line: "rgba(160,170,185,0.45)", page: "#111111", card: "#23272e" }
    : { text: "#24292f", soft: "#57606a", grid: "rgba(90,100,115,0.14)", line: "rgba(90,100,115,0.45)", page: "#ffffff", card: "#ffffff" };
}

let family; // the page's own font: read once, for reading it makes the browser restyle the page

// What a view leaves open is decided here; what it says itself stays, but for the colour of the text.
function dress(layout) {
  const c = colours();
  family ??= getComputedStyle(document.body).getPropertyValue("--jp-ui-font-family").trim() || "system-ui, sans-serif";
  const axis = { gridcolor: c.grid, zerolinecolor: c.line, linecolor: c.line, tickcolor: c.line, automargin: true, title: { standoff: 8 } };
  const bar = { outlinewidth: 0, thickness: 12 };
  const base = {
    font: { family, size: 12, color: c.text },
    title: { x: 0, xref: "paper", xanchor: "left", font: { size: 14 } },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 56, r: 20, t: 40, b: 48 },
    hoverlabel: { bgcolor: c.card, bordercolor: c.line, font: { family, color: c.text } },
    legend: { bgcolor: "rgba(0,0,0,0)" },
    xaxis: axis, yaxis: axis, coloraxis: { colorbar: bar },
    polar: { bgcolor: "rgba(0,0,0,0)", angularaxis: axis, radialaxis: axis },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: c.soft, activecolor: c.text },
  };
  const template = { layout: merge(base, layout.template?.layout), data: { heatmap: [{ colorbar: bar }], ...layout.template?.data } };
  return { height: 440, autosize: true, ...layout, font: { ...layout.font, color: c.text }, template };
}

const CONFIG = {
  displaylogo: false, responsive: false, showSendToCloud: false, plotlyServerURL: "",
  modeBarButtonsToRemove: ["sendDataToCloud", "toImage", "select2d", "lasso2d", "autoScale2d"],
};

// ---- small pieces of page

function element(tag, properties = {}, ...children) {
  const { role, aria = {}, ...rest } = properties;
  const made = Object.assign(document.createElement(tag), rest);
  if (role) made.setAttribute("role", role);
  for (const [name, value] of Object.entries(aria)) made.setAttribute(`aria-${name}`, value);
  made.append(...children);
  return made;
}

function save(bytes, filename, mime) {
  const address = URL.createObjectURL(new Blob([bytes], { type: mime }));
  element("a", { href: address, download: filename }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

async function plotly() {
  const end = performance.now() + PLOTLY_LIMIT;
  while (!globalThis.Plotly) {
    if (performance.now() > end)
      throw new Error(
        `plotly.js did not arrive within ${PLOTLY_LIMIT / 1000} s, so there is no picture. Run the cell again; ` +
        "explorer.table() and explorer.dataset() work without it.");
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return globalThis.Plotly;
}

class Figure {
  constructor(model, el) {
    Object.assign(this, { model, el, serial: -1, asked: -1, since: -1, next: null, drawing: false, open: null, gone: [] });
    el.classList.add("wb-figure");
    this.plot = element("div", { className: "wb-plot", role: "img", aria: { label: model.get("label") } });
    this.status = element("div", { className: "wb-status" });
    this.panel = element("div", { className: "wb-panel", role: "region", hidden: true, tabIndex: 0 });
    el.append(this.plot, this.status, this.buttons(), this.panel);
    this.say("Waiting for the kernel …");
    this.listen();
    const first = model.get("first");
    if (first?.content) this.take(first.content, first.buffers);
    else model.send({ type: "ready", serial: -1 });
  }

  listen() {
    const on = (target, event, act) => {
      target.addEventListener(event, act);
      this.gone.push(() => target.removeEventListener(event, act));
    };
    const hear = (content, buffers) => this.hear(content, buffers);
    this.model.on("msg:custom", hear);
    this.gone.push(() => this.model.off("msg:custom", hear));
    const born = () => this.model.get("first")?.content && this.take(this.model.get("first").content, this.model.get("first").buffers);
    this.model.on("change:first", born);
    this.gone.push(() => this.model.off("change:first", born));
    const relabel = () => this.relabel();
    this.model.on("change:label", relabel);
    this.gone.push(() => this.model.off("change:label", relabel));
    on(darkSystem, "change", () => this.redraw());
    const themed = new MutationObserver(() => this.redraw());
    themed.observe(document.body, { attributeFilter: ["data-jp-theme-light"] });
    let width = 0;
    const sized = new ResizeObserver(([entry]) => {
      const now = Math.round(entry.contentRect.width);
      if (now && now !== width && this.plot._fullLayout) globalThis.Plotly.Plots.resize(this.plot);
      width = now;
      this.nameSliders();
    });
    sized.observe(this.plot);
    this.gone.push(() => themed.disconnect(), () => sized.disconnect());
  }

  remove() {
    clearTimeout(this.late);
    clearTimeout(this.later);
    this.gone.forEach((undo) => undo());
    if (this.plot._fullLayout) globalThis.Plotly.purge(this.plot);
  }

  hear(content, buffers) {
    if (content.type === "figure") this.take(content, buffers);
    else if (content.type === "busy") this.busy(content.fraction);
    else if (content.type === "error") this.say(content.text, "error", content.asked);
    else if (content.type === "text") this.show(content);
    else if (content.type === "download") save(buffers[0], content.filename, content.mime);
  }

  // ---- drawing: the newest picture only, one at a time

  take(content, buffers) {
    if (content.serial <= this.serial) return;
    this.serial = content.serial;
    this.next = { content, buffers, received: performance.now() };
    if (!this.drawing) this.drawAll();
  }

  async drawAll() {
    this.drawing = true;
    try {
      const Plotly = globalThis.Plotly ?? (await plotly());
      while (this.next) {
        const { content, buffers, received } = this.next;
        this.next = null;
        this.figure = decode(content.figure, buffers);
        const decoded = performance.now();
        await Plotly.react(this.plot, this.figure.data, dress(this.figure.layout), CONFIG);
        this.relabel();
        this.plot.workbenchTimes = { serial: content.serial, received, decoded, drawn: performance.now() };
        this.asked = content.asked;
        this.drawn(content.serial);
      }
    } catch (error) {
      this.say(error.message, "error");
    } finally {
      this.drawing = false;
    }
  }

  drawn(serial) {
    if (this.seen === undefined) this.model.send({ type: "ready", serial });
    this.seen = serial;
    if (this.state !== "busy" && !this.standing()) this.say("");
    this.nameSliders();
    clearTimeout(this.late);
    if (this.open) this.late = setTimeout(() => this.ask(this.open), REST);
    clearTimeout(this.later);
    this.later = setTimeout(() => this.still(serial), LONG_REST);
  }

  // What a notebook shows when it is opened without a kernel: the last picture, as an image.
  async still(serial) {
    if (!this.el.isConnected) return;
    const address = await globalThis.Plotly.toImage(this.onPaper(), { format: "png", ...this.size(), scale: 1 });
    const bytes = await (await fetch(address)).arrayBuffer();
    if (serial === this.serial) this.model.send({ type: "still", serial }, undefined, [bytes]);
  }

  onPaper() {
    return { data: this.figure.data, layout: { ...dress(this.figure.layout), paper_bgcolor: colours().page }, config: CONFIG };
  }

  size() {
    const { width, height } = this.plot._fullLayout;
    return { width, height };
  }

  // A screen reader hears what the picture says first, too: its heading.
  relabel() {
    const heading = this.figure?.layout?.annotations?.find(({ text }) => text?.startsWith("<b>"))?.text ?? "";
    const said = new DOMParser().parseFromString(heading.replaceAll("<br>", ". "), "text/html").body.textContent;
    this.plot.setAttribute("aria-label", [this.model.get("label"), said].filter(Boolean).join(" "));
  }

  redraw() {
    if (this.figure && !this.drawing) globalThis.Plotly.react(this.plot, this.figure.data, dress(this.figure.layout), CONFIG);
  }

  // ipywidgets gives its slider handles no name; a screen reader needs one.
  nameSliders() {
    for (const handle of this.el.closest(".wb-explorer")?.querySelectorAll(".noUi-handle:not([aria-label])") ?? [])
      handle.setAttribute("aria-label", handle.closest(".widget-slider").querySelector("label").textContent);
  }

  // ---- status row

  // A refusal stays until there is a picture that was asked for after it: the one before may still be refined.
  standing = () => this.state === "error" && this.asked <= this.since;

  say(text, kind = "plain", since = this.asked) {
    if (kind === "error") this.since = since;
    if (this.state === kind && this.said === text) return;
    Object.assign(this, { state: kind, said: text });
    this.status.setAttribute("role", kind === "error" ? "alert" : "status");
    this.status.className = `wb-status wb-${kind}`;
    this.status.replaceChildren(text);
  }

  busy(fraction) {
    if (this.standing()) return;
    if (fraction === null) return this.state === "busy" ? this.say("") : undefined;
    const text = `Refining … ${Math.round(100 * fraction)} %`;
    if (this.state === "busy") {
      this.status.firstChild.value = fraction;
      this.status.children[1].textContent = text;
      return;
    }
    this.say("", "busy");
    const stop = element("button", { type: "button", textContent: "Cancel", title: "Keep the coarse picture" });
    stop.onclick = () => this.model.send({ type: "cancel" });
    this.status.replaceChildren(
      element("progress", { max: 1, value: fraction, aria: { label: "progress" } }),
      element("span", { textContent: text }), stop);
  }

  // ---- buttons and the panel below them

  buttons() {
    const button = (label, title, onclick) => element("button", { type: "button", textContent: label, title, onclick });
    const toggles = [
      ["Numbers", "The numbers behind the picture, as a table", "table"],
      ["Code", "Python that reproduces this picture", "code"],
      ["Link", "The present state as a permalink", "link"],
    ].map(([label, title, what]) => {
      const made = button(label, title, () => this.toggle(what));
      made.setAttribute("aria-expanded", "false");
      made.dataset.what = what;
      return made;
    });
    this.toggles = toggles;
    const saves = [
      button("PNG", "Save the picture as PNG", () => this.image("png")),
      button("SVG", "Save the picture as SVG", () => this.image("svg")),
      button("HTML", "Save the picture as a page that works offline", () => this.model.send({ type: "save", what: "html" })),
      button("Data", "Save the numbers as NetCDF", () => this.model.send({ type: "save", what: "netcdf" })),
    ];
    const group = (name, members) => element("span", { className: "wb-group", role: "group", aria: { label: name } },
      element("span", { className: "wb-group-name", textContent: name, aria: { hidden: "true" } }), ...members);
    return element("div", { className: "wb-buttons" }, group("Show", toggles), group("Save", saves), ...this.ownFile());
  }

  toggle(what) {
    this.open = this.open === what ? null : what;
    for (const made of this.toggles) made.setAttribute("aria-expanded", String(made.dataset.what === this.open));
    this.panel.hidden = !this.open;
    if (this.open) this.ask(this.open);
  }

  ask(what) {
    this.model.send({ type: "ask", what });
  }

  show({ what, text, html }) {
    if (what !== this.open) return;
    this.panel.setAttribute("aria-label", what);
    if (html !== undefined) {
      this.panel.innerHTML = html; // written and escaped by Python: tables only
      return;
    }
    const body = element("pre", { textContent: text });
    const copy = element("button", { type: "button", className: "wb-copy", textContent: "Copy" });
    copy.onclick = async () => {
      try {
        await navigator.clipboard.writeText(text);
        copy.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(body); // no clipboard on a plain http address: Control-C does it
        copy.textContent = "Press Control-C";
      }
    };
    this.panel.replaceChildren(copy, body);
  }

  async image(format) {
    await globalThis.Plotly.downloadImage(this.onPaper(), { format, ...this.size(), scale: 2, filename: this.model.get("filename") });
  }

  // What the reader brings along: an image's pixels, so that the kernel never opens a foreign file, or the text of an .xyz.
  ownFile() {
    const kind = this.model.get("accepts");
    if (!OWN[kind]) return [];
    const { accept, said, title, name, back } = OWN[kind];
    const input = element("input", { type: "file", accept, className: "wb-file", aria: { label: name } });
    input.onchange = async () => {
      if (!input.files.length) return;
      await (kind === "image" ? this.sendImage(input.files[0]) : this.sendMolecule(input.files[0]));
      input.value = ""; // the same file may be chosen again
    };
    const away = element("button", { type: "button", textContent: "Put it back", title: back });
    away.onclick = () => this.model.send({ type: "no_own" });
    const known = () => { away.hidden = !this.model.get("has_own"); };
    this.model.on("change:has_own", known);
    this.gone.push(() => this.model.off("change:has_own", known));
    known();
    const label = element("label", { className: "wb-own", textContent: said, title }, input);
    return [element("span", { className: "wb-group" }, label, away)];
  }

  async sendImage(file) {
    try {
      const bitmap = await createImageBitmap(file);
      const scale = Math.min(1, LARGEST_SIDE / Math.max(bitmap.width, bitmap.height));
      const size = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
      const pen = new OffscreenCanvas(...size).getContext("2d");
      pen.drawImage(bitmap, 0, 0, ...size);
      const pixels = pen.getImageData(0, 0, ...size).data;
      this.model.send({ type: "image", width: size[0], height: size[1] }, undefined, [pixels.buffer]);
    } catch {
      this.say(`${file.name} is no image that this browser can read; choose a PNG or JPEG.`, "error");
    }
  }

  async sendMolecule(file) {
    if (file.size > LARGEST_MOLECULE)
      return this.say(`${file.name} has ${file.size} bytes; expected at most ${LARGEST_MOLECULE}: choose one molecule.`, "error");
    this.model.send({ type: "molecule", name: file.name }, undefined, [await file.arrayBuffer()]);
  }
}

export default {
  render({ model, el }) {
    const figure = new Figure(model, el);
    return () => figure.remove();
  },
};
