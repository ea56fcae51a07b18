const specs = JSON.parse(document.getElementById("specs").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const draw = () => Object.entries(specs).forEach(([name, spec]) =>
  vegaEmbed("#" + name, spec[dark.matches ? "dark" : "light"], { actions: false, renderer: "svg" }));
dark.addEventListener("change", draw);
draw();
