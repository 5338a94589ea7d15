// The picture: what there is, its colours, the camera, drawing, and whatever moves it.

// ---------------------------------------------------------------- data
const data = JSON.parse(document.getElementById("data").textContent);
const { entities, relationships, levels } = data;
const byId = (id) => document.getElementById(id);
const number = (value) => value.toLocaleString("en-US");
const plural = (count, one, many) => `${number(count)} ${count === 1 ? one : many}`;
const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

const links = entities.map(() => []); // relationships at each entity
relationships.forEach((edge, i) => {
  links[edge.source].push(i);
  if (edge.target !== edge.source) links[edge.target].push(i);
});
bendParallels();
const searchText = entities.map((e) => [e.title, ...e.aliases].map(folded));

const state = { level: data.level, isolated: -1, selected: -1, hovered: -1 };
const memberOf = (entity, level = state.level) => (levels[level] ? levels[level].member[entity] : -1);

// Edges bend to the right of their direction, each of several between the same two further than the one before.
function bendParallels() {
  const seen = new Map();
  for (const edge of relationships) {
    const key = `${edge.source} ${edge.target}`;
    const nth = seen.get(key) || 0;
    seen.set(key, nth + 1);
    const [a, b] = [entities[edge.source], entities[edge.target]];
    const bend = 0.1 + 0.11 * nth;
    edge.nth = nth;
    edge.cx = (a.x + b.x) / 2 - (b.y - a.y) * bend;
    edge.cy = (a.y + b.y) / 2 + (b.x - a.x) * bend;
  }
}

// ---------------------------------------------------------------- colours
const LEGEND_ROWS = 12;
let theme = {};
let colours = [];

function readTheme() {
  const style = getComputedStyle(document.documentElement);
  const value = (name) => style.getPropertyValue(name).trim();
  theme = { palette: Array.from({ length: LEGEND_ROWS }, (_, i) => value(`--c${i}`)), font: style.fontFamily };
  for (const name of ["paper", "ink", "soft", "edge", "none", "other-s", "other-l"]) theme[name] = value(`--${name}`);
  colours = entities.map((_, i) => communityColour(memberOf(i)));
}

// The largest communities have the palette; the others quiet tints, so that they are told apart but never mistaken.
function communityColour(community) {
  if (community < 0) return theme.none;
  if (community < LEGEND_ROWS) return theme.palette[community];
  return `hsl(${Math.round((community * 137.508) % 360)} ${theme["other-s"]} ${theme["other-l"]})`;
}

// ---------------------------------------------------------------- camera
const canvas = byId("graph");
const ctx = canvas.getContext("2d");
const camera = { x: 0, y: 0, scale: 1 };
let width = 0;
let height = 0;
let drawing = 0;
let flight = 0;

const toScreen = (x, y) => [(x - camera.x) * camera.scale + width / 2, (y - camera.y) * camera.scale + height / 2];
const radius = (e) => Math.max(1.4, e.size * (camera.scale < 1 ? camera.scale : Math.sqrt(camera.scale)));
const redraw = () => { drawing = drawing || requestAnimationFrame(draw); };

function resize() {
  const ratio = window.devicePixelRatio || 1;
  const first = width === 0;
  // What stands at the left edge stays there when the panel takes its room at the right.
  camera.x += (canvas.clientWidth - width) / 2 / camera.scale;
  width = canvas.clientWidth;
  height = canvas.clientHeight;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  if (first && width) fit(false);
  redraw();
}

// The view that holds all (or the given) entities, beside the legend where there is room for both.
function fit(smooth, chosen = entities) {
  if (canvas.clientWidth !== width) resize(); // the panel has just opened or closed
  if (!chosen.length || !width) return;
  const left = width > 900 && byId("legend").open ? 300 : 24;
  const xs = chosen.map((e) => e.x);
  const ys = chosen.map((e) => e.y);
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = Math.min((width - left - 40) / (x1 - x0 + 40), (height - 70) / (y1 - y0 + 40), 2.2);
  fly({ x: (x0 + x1) / 2 - (left - 24) / 2 / scale, y: (y0 + y1) / 2, scale }, smooth);
}

function fly(target, smooth = true) {
  cancelAnimationFrame(flight);
  const from = { ...camera };
  const began = performance.now();
  const still = !smooth || matchMedia("(prefers-reduced-motion: reduce)").matches;
  const step = (now) => {
    const t = still ? 1 : Math.min(1, Math.max(0, (now - began) / 420));
    const eased = 1 - (1 - t) ** 3;
    camera.x = from.x + (target.x - from.x) * eased;
    camera.y = from.y + (target.y - from.y) * eased;
    camera.scale = from.scale * (target.scale / from.scale) ** eased;
    redraw();
    if (t < 1) flight = requestAnimationFrame(step);
  };
  step(began);
}

// The panel may lie over the canvas: on a phone at the bottom, on a small screen at the right.
function bringIntoView(entity, closer) {
  resize();
  const e = entities[entity];
  const [view, cover] = [canvas.getBoundingClientRect(), byId("panel").getBoundingClientRect()];
  const right = Math.min(view.right, cover.left > view.left ? cover.left : view.right) - view.left;
  const bottom = Math.min(view.bottom, cover.top > view.top + 1 ? cover.top : view.bottom) - view.top;
  const left = width > 900 && byId("legend").open ? 300 : 0;
  const [x, y] = toScreen(e.x, e.y);
  if (!closer && x > left + 30 && x < right - 30 && y > 30 && y < bottom - 40) return;
  const scale = closer ? Math.max(camera.scale, 1) : camera.scale;
  fly({ x: e.x - ((left + right) / 2 - width / 2) / scale, y: e.y - (bottom / 2 - height / 2) / scale, scale });
}

function zoomAt(factor, x = width / 2, y = height / 2) {
  cancelAnimationFrame(flight);
  const scale = Math.min(12, Math.max(0.03, camera.scale * factor));
  camera.x += (x - width / 2) * (1 / camera.scale - 1 / scale);
  camera.y += (y - height / 2) * (1 / camera.scale - 1 / scale);
  camera.scale = scale;
  redraw();
}

function pan(dx, dy) {
  cancelAnimationFrame(flight);
  camera.x -= dx / camera.scale;
  camera.y -= dy / camera.scale;
  redraw();
}

// ---------------------------------------------------------------- drawing
function draw() {
  drawing = 0;
  ctx.clearRect(0, 0, width, height);
  const focus = state.hovered >= 0 ? state.hovered : state.selected;
  const lit = litEntities(focus);
  drawEdges(focus, lit);
  drawNodes(focus, lit);
  drawLabels(focus, lit);
}

// The entities that stand out: the focus and its neighbours, else the isolated community; null when all do.
function litEntities(focus) {
  if (focus >= 0) {
    return new Set([focus, ...links[focus].flatMap((i) => [relationships[i].source, relationships[i].target])]);
  }
  if (state.isolated < 0) return null;
  return new Set([...entities.keys()].filter((i) => memberOf(i) === state.isolated));
}

function drawEdges(focus, lit) {
  const batches = new Map();
  const bright = [];
  for (const edge of relationships) {
    const inside = !lit || (lit.has(edge.source) && lit.has(edge.target));
    if (focus >= 0 && (edge.source === focus || edge.target === focus)) { bright.push(edge); continue; }
    const same = colours[edge.source] === colours[edge.target];
    const key = inside && focus < 0 ? (same ? colours[edge.source] : theme.edge) : "";
    if (!batches.has(key)) batches.set(key, []);
    batches.get(key).push(edge);
  }
  const crowd = Math.min(1, Math.sqrt(1200 / (relationships.length + 1)));
  const arrows = camera.scale > 0.85 || relationships.length < 250;
  ctx.lineWidth = Math.min(1.6, Math.max(0.7, camera.scale));
  for (const [colour, edges] of batches) {
    ctx.globalAlpha = colour === "" ? 0.07 * crowd : colour === theme.edge ? 0.24 * crowd : 0.5 * Math.sqrt(crowd);
    strokeEdges(edges, colour || theme.edge, arrows && colour !== "");
  }
  ctx.globalAlpha = bright.length > 40 ? 0.5 : 0.85;
  ctx.lineWidth = bright.length > 40 ? 1.1 : 1.5;
  for (const edge of bright) strokeEdges([edge], colours[edge.source], true);
  ctx.globalAlpha = 1;
}

function strokeEdges(edges, colour, arrows) {
  ctx.strokeStyle = ctx.fillStyle = colour;
  const heads = new Path2D();
  ctx.beginPath();
  for (const edge of edges) {
    const [a, b] = [entities[edge.source], entities[edge.target]];
    const [ax, ay] = toScreen(a.x, a.y);
    const [bx, by] = toScreen(b.x, b.y);
    if (Math.max(ax, bx) < 0 || Math.min(ax, bx) > width || Math.max(ay, by) < 0 || Math.min(ay, by) > height) continue;
    if (edge.source === edge.target) {
      const loop = radius(a) + 5 + 4 * edge.nth;
      ctx.moveTo(ax + loop, ay - loop);
      ctx.arc(ax, ay - loop, loop, 0, 2 * Math.PI);
      continue;
    }
    const [cx, cy] = toScreen(edge.cx, edge.cy);
    const length = Math.hypot(bx - cx, by - cy) || 1;
    const [ux, uy] = [(bx - cx) / length, (by - cy) / length];
    const gap = Math.min(radius(b) + 1.5, length);
    const [tx, ty] = [bx - ux * gap, by - uy * gap];
    ctx.moveTo(ax, ay);
    ctx.quadraticCurveTo(cx, cy, tx, ty);
    if (!arrows || length < 12) continue;
    const size = 3.5 + 2 * ctx.lineWidth;
    heads.moveTo(tx, ty);
    heads.lineTo(tx - ux * size - uy * size * 0.42, ty - uy * size + ux * size * 0.42);
    heads.lineTo(tx - ux * size + uy * size * 0.42, ty - uy * size - ux * size * 0.42);
    heads.closePath();
  }
  ctx.stroke();
  ctx.fill(heads);
}

function drawNodes(focus, lit) {
  for (let i = entities.length - 1; i >= 0; i--) { // the most connected last, on top
    const e = entities[i];
    const [x, y] = toScreen(e.x, e.y);
    const r = radius(e);
    if (x < -r || x > width + r || y < -r || y > height + r) continue;
    ctx.beginPath();
    ctx.arc(x, y, r, 0, 2 * Math.PI);
    // First the paper, so that edges never shine through a faded node.
    if (r > 2.5) {
      ctx.fillStyle = ctx.strokeStyle = theme.paper;
      ctx.lineWidth = 2;
      ctx.stroke();
      ctx.fill();
    }
    ctx.globalAlpha = lit && !lit.has(i) ? 0.16 : 1;
    ctx.fillStyle = colours[i];
    ctx.fill();
    ctx.globalAlpha = 1;
    if (i === state.selected || i === focus) {
      ctx.beginPath();
      ctx.arc(x, y, r + 3, 0, 2 * Math.PI);
      ctx.strokeStyle = theme.ink;
      ctx.lineWidth = 1.8;
      ctx.stroke();
    }
  }
}

// Labels go to the focus first, then by number of relationships; one that would touch another is left out.
function drawLabels(focus, lit) {
  const taken = entities.filter((e) => radius(e) > 6).map((e) => { // large nodes are not written over
    const [x, y] = toScreen(e.x, e.y);
    const r = radius(e) * 0.8;
    return [x - r, y - r, x + r, y + r];
  });
  const order = focus >= 0 ? [focus, ...[...lit].filter((i) => i !== focus).sort((a, b) => a - b)] : entities.keys();
  let left = Math.round((width * height) / (focus >= 0 ? 9000 : 13000));
  ctx.textAlign = "center";
  ctx.textBaseline = "top";
  ctx.lineJoin = "round";
  ctx.lineWidth = 3.5;
  ctx.strokeStyle = theme.paper;
  for (const i of order) {
    if (left <= 0) break;
    if (lit && !lit.has(i)) continue;
    const e = entities[i];
    const [middle, y] = toScreen(e.x, e.y);
    if (middle < 0 || middle > width || y < -10 || y > height) continue;
    const size = Math.round(Math.min(17, Math.max(11, 9.5 + radius(e) * 0.32)));
    ctx.font = `${i === focus ? 650 : 500} ${size}px ${theme.font}`;
    const text = e.title.length > 30 ? `${e.title.slice(0, 29).trimEnd()}…` : e.title;
    const half = ctx.measureText(text).width / 2 + 3;
    const x = Math.max(half, Math.min(width - half, middle));
    const top = y + radius(e) + 3;
    const box = [x - half, top - 2, x + half, top + size + 3];
    if (i !== focus && taken.some((b) => box[0] < b[2] && box[2] > b[0] && box[1] < b[3] && box[3] > b[1])) continue;
    taken.push(box);
    left -= 1;
    ctx.strokeText(text, x, top);
    ctx.fillStyle = theme.ink;
    ctx.fillText(text, x, top);
  }
  if (focus >= 0) drawPredicates(focus, taken);
}

function drawPredicates(focus, taken) {
  ctx.font = `italic 11px ${theme.font}`;
  ctx.textBaseline = "middle";
  ctx.fillStyle = theme.soft;
  for (const i of links[focus]) {
    const edge = relationships[i];
    if (!edge.predicate || edge.source === edge.target) continue;
    const [a, b] = [entities[edge.source], entities[edge.target]];
    const [x, y] = toScreen((a.x + b.x + 2 * edge.cx) / 4, (a.y + b.y + 2 * edge.cy) / 4);
    const text = edge.predicate.length > 26 ? `${edge.predicate.slice(0, 25)}…` : edge.predicate;
    const half = ctx.measureText(text).width / 2 + 2;
    if (Math.hypot(b.x - a.x, b.y - a.y) * camera.scale < 2 * half + 24) continue;
    const box = [x - half, y - 8, x + half, y + 8];
    if (taken.some((o) => box[0] < o[2] && box[2] > o[0] && box[1] < o[3] && box[3] > o[1])) continue;
    taken.push(box);
    ctx.strokeText(text, x, y);
    ctx.fillText(text, x, y);
  }
}

function entityAt(x, y, slack) {
  let best = -1;
  let nearest = slack;
  entities.forEach((e, i) => {
    const [ex, ey] = toScreen(e.x, e.y);
    const distance = Math.hypot(ex - x, ey - y) - radius(e);
    if (distance < nearest) { best = i; nearest = distance; }
  });
  return best;
}

// ---------------------------------------------------------------- pointer and keys
const pointers = new Map();
let travelled = 0;

const place = (event) => {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, place(event));
  if (pointers.size === 1) travelled = 0;
  canvas.classList.add("held");
});
canvas.addEventListener("pointermove", (event) => {
  const [x, y] = place(event);
  if (!pointers.has(event.pointerId)) {
    if (event.pointerType === "mouse") hover(entityAt(x, y, 4), x, y);
    return;
  }
  const [px, py] = pointers.get(event.pointerId);
  travelled += Math.hypot(x - px, y - py);
  if (pointers.size === 1) {
    pan(x - px, y - py);
  } else {
    const [ox, oy] = [...pointers].find(([id]) => id !== event.pointerId)[1];
    zoomAt(Math.hypot(x - ox, y - oy) / (Math.hypot(px - ox, py - oy) || 1), (x + ox) / 2, (y + oy) / 2);
    pan((x - px) / 2, (y - py) / 2);
    travelled = 99;
  }
  pointers.set(event.pointerId, [x, y]);
});
canvas.addEventListener("pointerup", (event) => {
  if (pointers.size === 1 && travelled < 6) {
    const found = entityAt(...place(event), event.pointerType === "mouse" ? 4 : 14);
    select(found, false);
  }
  drop(event);
});
canvas.addEventListener("pointercancel", drop);
canvas.addEventListener("pointerleave", () => hover(-1));
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const lines = event.deltaMode === 1 ? 18 : 1;
  zoomAt(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0016)), ...place(event));
}, { passive: false });
canvas.addEventListener("dblclick", (event) => zoomAt(1.8, ...place(event)));
canvas.addEventListener("keydown", (event) => {
  const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (moves[event.key]) pan(...moves[event.key]);
  else if (event.key === "+" || event.key === "=") zoomAt(1.3);
  else if (event.key === "-") zoomAt(1 / 1.3);
  else if (event.key === "0") fit(true);
  else return;
  event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "/" && !typing) { event.preventDefault(); byId("search").focus(); }
  if (event.key === "Escape" && !typing) { isolate(-1); select(-1); }
});

function drop(event) {
  pointers.delete(event.pointerId);
  if (!pointers.size) canvas.classList.remove("held");
}

function hover(entity, x = 0, y = 0) {
  const tip = byId("tip");
  if (entity !== state.hovered) {
    state.hovered = entity;
    canvas.classList.toggle("over", entity >= 0);
    tip.hidden = entity < 0;
    if (entity >= 0) {
      const e = entities[entity];
      const kind = [data.types[e.type], plural(e.degree, "relationship", "relationships")].filter(Boolean).join(" · ");
      tip.replaceChildren(e.title, make("small", {}, kind));
    }
    redraw();
  }
  if (entity < 0) return;
  tip.style.left = `${Math.min(x + 14, width - tip.offsetWidth - 8)}px`;
  tip.style.top = `${y + 18 + tip.offsetHeight > height ? y - tip.offsetHeight - 10 : y + 18}px`;
}
