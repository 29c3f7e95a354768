// Puts plotly.js on the page once: compressed, from the kernel, with no request to anywhere.

async function run(packed) {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const text = await new Response(stream).text();
  // As a classic script with its own `module` and `define`, whatever else the page has loaded.
  const address = URL.createObjectURL(
    new Blob([`(function (module, exports, define) {${text}\n})();`], { type: "text/javascript" }),
  );
  await new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.onerror = () => reject(new Error("the script of plotly did not run"));
    document.head.append(script);
    const look = () => (globalThis.Plotly ? resolve() : setTimeout(look, 10)); // surer than the load event
    look();
  });
  URL.revokeObjectURL(address);
}

export default {
  initialize({ model }) {
    const load = async (packed) => {
      globalThis.workbenchPlotly ??= globalThis.Plotly ? Promise.resolve() : run(packed);
      try {
        await globalThis.workbenchPlotly;
        model.send({ type: "loaded" });
      } catch (error) {
        globalThis.workbenchPlotly = undefined;
        console.error(error);
      }
    };
    const packed = model.get("source");
    if (packed?.byteLength) load(packed);
    else if (!globalThis.Plotly && !globalThis.workbenchPlotly) {
      model.on("msg:custom", (content, buffers) => content.type === "plotly" && load(buffers[0]));
      model.send({ type: "missing" });
    }
  },
};
