// Builds one labelled control from its description; `report(name, text)` is called with every new position.
const SHORT_UNITS = {degrees: "°", degree: "°", percent: "%", pixels: "px", pixel: "px"}
const SHORT_UNIT = 8 // letters
const SEGMENTS = {least: 2, most: 5, letters: 38} // what fits into one row of the controls' column
let serial = 0

function h(tag, attributes = {}, ...children) {
  const el = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value)
    else el.setAttribute(name, value === true ? "" : value)
  }
  el.append(...children.filter((child) => child !== null && child !== undefined))
  return el
}

function decimals(step) {
  const [mantissa, exponent] = String(step).split("e")
  return Math.max(0, (mantissa.split(".")[1] || "").length - Number(exponent || 0))
}

function buildControl(spec, report) {
  const id = `control-${++serial}`
  const help = h("p", {class: "help", id: `${id}-help`}, spec.doc)
  const parts = BUILDERS[spec.kind](spec, id, report)
  const el = h("div", {class: "control", "data-name": spec.name}, ...parts.elements, help)
  return {el, show: parts.show}
}

function nameAndUnit(spec) {
  const bare = spec.unit ? spec.label.slice(0, spec.label.lastIndexOf("(")).trim() : spec.label
  return [bare, SHORT_UNITS[spec.unit] ?? spec.unit]
}

function buildNumber(spec, id, report) {
  const [low, high] = spec.bounds
  const [bare, unit] = nameAndUnit(spec)
  const places = Math.min(spec.kind === "int" ? 0 : Math.max(decimals(spec.step), decimals(low)), 6)
  const written = (value) => (spec.kind === "int" ? String(Math.round(value)) : Number(value).toFixed(places))
  const fill = () => slider.style.setProperty("--fill", `${(100 * (slider.value - low)) / (high - low || 1)}%`)
  const slider = h("input", {
    type: "range", id, min: low, max: high, step: spec.step, "aria-describedby": `${id}-help`,
    "aria-label": spec.label,
    oninput: () => {
      exact.value = written(slider.value)
      slider.setAttribute("aria-valuetext", `${exact.value} ${spec.unit}`.trim())
      fill()
      report(spec.name, slider.value)
    },
  })
  // Read and checked by the server, so that a value out of range is answered with a sentence.
  const exact = h("input", {
    type: "text", inputmode: "decimal", class: "exact", "aria-label": `${bare}, exact value`, autocomplete: "off",
    spellcheck: "false", onchange: () => report(spec.name, exact.value.trim().replace(",", ".")),
  })
  const show = (text) => {
    slider.value = text
    exact.value = trimmed(text, places)
    exact.style.setProperty("width", `${Math.max(2, exact.value.length, written(high).length, written(low).length) + 0.6}ch`)
    slider.setAttribute("aria-valuetext", `${exact.value} ${spec.unit}`.trim())
    fill()
  }
  // A short unit stands behind the value, a long one behind the name.
  const [behind, beside] = unit.length <= SHORT_UNIT ? [unit, ""] : ["", unit]
  const label = h("label", {for: id}, bare, beside ? h("span", {class: "unit beside"}, beside) : null)
  const value = h("span", {class: "value"}, exact, behind ? h("span", {class: "unit"}, behind) : null)
  return {elements: [h("div", {class: "head"}, label, value), slider], show}
}

// A typed value keeps its own digits; a slider's position is written with as many as its step has.
function trimmed(text, places) {
  const short = Number(text).toFixed(places)
  return Number(short) === Number(text) ? short : text
}

function buildSwitch(spec, id, report) {
  const box = h("input", {
    type: "checkbox", role: "switch", id, "aria-describedby": `${id}-help`,
    onchange: () => report(spec.name, String(box.checked)),
  })
  const elements = [h("label", {class: "head", for: id}, h("span", {}, spec.label), box)]
  return {elements, show: (text) => { box.checked = text === "true" }}
}

function buildChoice(spec, id, report) {
  const {least, most, letters} = SEGMENTS
  const count = spec.options.length
  const written = spec.options.reduce((sum, [label]) => sum + label.length + 3, 0)
  return count >= least && count <= most && written <= letters ? buildSegments(spec, id, report) : buildMenu(spec, id, report)
}

function buildMenu(spec, id, report) {
  const options = spec.options.map(([label, text]) => h("option", {value: text}, label))
  const menu = h("select", {id, "aria-describedby": `${id}-help`, onchange: () => report(spec.name, menu.value)}, ...options)
  return {elements: [h("div", {class: "head"}, h("label", {for: id}, spec.label)), menu], show: (text) => { menu.value = text }}
}

function buildSegments(spec, id, report) {
  const radios = spec.options.map(([, text]) =>
    h("input", {type: "radio", name: id, value: text, onchange: () => report(spec.name, text)}))
  const segments = spec.options.map(([label], i) => h("label", {}, radios[i], h("span", {}, label)))
  const group = h("fieldset", {"aria-describedby": `${id}-help`}, h("legend", {}, spec.label), h("div", {class: "segments"}, ...segments))
  return {elements: [group], show: (text) => { for (const radio of radios) radio.checked = radio.value === text }}
}

const BUILDERS = {int: buildNumber, float: buildNumber, switch: buildSwitch, choice: buildChoice}
