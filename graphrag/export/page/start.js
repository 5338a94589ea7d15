// Fills the page in and starts it.

// ---------------------------------------------------------------- start
function start() {
  const { counts } = data;
  byId("counts").textContent = [
    plural(counts.entities, "entity", "entities"),
    plural(counts.relationships, "relationship", "relationships"),
    plural(counts.claims, "claim", "claims"),
    plural(counts.communities, "community", "communities"),
    plural(counts.documents, "document", "documents"),
  ].join(" · ");
  const notes = [];
  if (entities.length < counts.entities) notes.push(`${number(entities.length)} of ${number(counts.entities)} entities`);
  if (relationships.length < data.linked) notes.push(`${number(relationships.length)} of ${number(data.linked)} relationships`);
  byId("note").textContent = `Showing ${notes.join(" and ")}`;
  byId("note").hidden = !notes.length;
  byId("level").append(...levels.map((item, i) =>
    make("option", { value: String(i) }, `Level ${item.level} (${number(item.communities.length)})`)));
  byId("level").closest("label").hidden = !levels.length;
  byId("level").onchange = (event) => setLevel(Number(event.target.value));
  byId("zoom-in").onclick = () => zoomAt(1.4);
  byId("zoom-out").onclick = () => zoomAt(1 / 1.4);
  byId("zoom-fit").onclick = () => fit(true);
  byId("legend").open = innerWidth > 720;
  setLevel(state.level);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setLevel(state.level));
  new ResizeObserver(resize).observe(canvas);
  resize();
  const named = entities.findIndex((e) => `#${encodeURIComponent(e.id)}` === location.hash);
  if (named >= 0) select(named, true);
}

// For the console and for tests: where an entity is drawn, in pixels of the window, and in which colour.
window.graphPage = {
  entities,
  find: (title) => entities.findIndex((e) => e.title === title),
  colourOf: (entity) => colours[entity],
  positionOf: (entity) => {
    const box = canvas.getBoundingClientRect();
    const [x, y] = toScreen(entities[entity].x, entities[entity].y);
    return [x + box.left, y + box.top];
  },
};
start();
