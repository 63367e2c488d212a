// Draw tables as charts. `<figure data-chart="ID">` shows the numbers of the table with
// that id: its first column is x, each other one a line that is named by its heading.
// The table stays for who sees no chart, and what the figure held without scripts is
// hidden once it is drawn. After an update of the page the numbers are read anew.
"use strict";

const drawn = new Map(); // figures, and their charts

const numberOf = (cell) => {
  const text = cell.textContent.replaceAll(",", "").trim();
  const number = Number.parseFloat(text);
  return Number.isNaN(number) ? null : number;
};

const read = (table) => {
  const rows = [...table.tBodies[0].rows];
  const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
  return { names, data: names.map((_, place) => rows.map((row) => numberOf(row.cells[place]))) };
};

// A colour of the page's style, as the canvas takes it, by light or dark.
const shown = (figure, name) => {
  const probe = document.createElement("span");
  probe.className = `colour-${name}`;
  figure.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
};

const options = (figure, names) => {
  const axis = { stroke: shown(figure, "muted"), grid: { stroke: shown(figure, "line"), width: 1 } };
  const lines = ["accent", "good", "bad"].map((name) => shown(figure, name));
  return {
    width: figure.clientWidth,
    height: 240,
    scales: { x: { time: false } },
    axes: [axis, axis],
    series: names.map((label, place) => place === 0 ? { label } : {
      label,
      stroke: lines[(place - 1) % lines.length],
      width: 2,
      spanGaps: true,
      points: { show: place > 1 },
    }),
  };
};

const draw = (figure) => {
  const table = document.getElementById(figure.dataset.chart);
  if (!table || !table.tBodies[0].rows.length) return;
  const { names, data } = read(table);
  const chart = drawn.get(figure);
  if (chart) return chart.setData(data);
  figure.classList.add("drawn");
  figure.setAttribute("hx-morph-skip", ""); // what is drawn here is no part of updates
  drawn.set(figure, new uPlot(options(figure, names), data, figure));
};

const drawAll = () => {
  for (const [figure, chart] of drawn) {
    if (figure.isConnected) continue;
    chart.destroy();
    drawn.delete(figure);
  }
  document.querySelectorAll("figure[data-chart]").forEach(draw);
};

document.addEventListener("htmx:after:swap", drawAll);
addEventListener("resize", () => {
  drawn.forEach((chart, figure) => chart.setSize({ width: figure.clientWidth, height: 240 }));
});
drawAll();
