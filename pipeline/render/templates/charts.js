const specs = JSON.parse(document.getElementById("specs").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const narrow = window.matchMedia("(max-width: 720px)");
const draw = () => Promise.all(Object.entries(specs).map(([name, spec]) =>
  vegaEmbed("#" + name, spec[(dark.matches ? "dark" : "light") + (narrow.matches ? "-narrow" : "")], { actions: false, renderer: "svg" })))
  .then(() => { document.body.dataset.drawn = (dark.matches ? "dark" : "light") + (narrow.matches ? "-narrow" : ""); });
dark.addEventListener("change", draw);
narrow.addEventListener("change", draw);
draw();
