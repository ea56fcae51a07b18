// Reads [{x, y, at}] from stdin, writes [[value, …], …]: each curve as d3-shape draws it, at full precision, read at each abscissa.
import { readFileSync } from "node:fs";
import { curveMonotoneX, line } from "d3-shape";

function pieces(x, y) {
  const drawn = [];
  let [px, py] = [0, 0];
  const keep = (c0, c1, qx, qy) => {
    drawn.push({ px, py, c0, c1, qx, qy });
    [px, py] = [qx, qy];
  };
  const context = {
    moveTo: (qx, qy) => ([px, py] = [qx, qy]),
    lineTo: (qx, qy) => keep(py + (qy - py) / 3, py + (2 * (qy - py)) / 3, qx, qy),
    bezierCurveTo: (x0, y0, x1, y1, qx, qy) => keep(y0, y1, qx, qy), // its x0, x1 lie at thirds, so x is linear in u
    closePath: () => {},
  };
  line().curve(curveMonotoneX).context(context)(x.map((value, index) => [value, y[index]]));
  return drawn;
}

function read(drawn, t) {
  const { px, py, c0, c1, qx, qy } = drawn.find((piece) => t <= piece.qx) ?? drawn.at(-1);
  const u = (t - px) / (qx - px);
  return (1 - u) ** 3 * py + 3 * (1 - u) ** 2 * u * c0 + 3 * (1 - u) * u * u * c1 + u ** 3 * qy;
}

const curves = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(curves.map(({ x, y, at }) => at.map((t) => read(pieces(x, y), t)))));
