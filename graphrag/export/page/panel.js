// The panel of one entity, and the communities beside the picture.

// ---------------------------------------------------------------- elements (text is only ever put in as text)
function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

const linkTo = (entity) =>
  make("button", { type: "button", className: "link", onclick: () => select(entity, true) }, entities[entity].title);

function swatch(community) {
  const dot = make("span", { className: "dot" });
  dot.style.background = communityColour(community);
  return dot;
}

// A list that shows its first items and a button for the others.
function listOf(items, build, first) {
  const list = make("ul", {}, ...items.slice(0, first).map(build));
  if (items.length <= first) return [list];
  const more = make("button", { type: "button", className: "more" }, `Show all ${number(items.length)}`);
  more.onclick = () => { list.append(...items.slice(first).map(build)); more.remove(); };
  return [list, more];
}

function section(title, count, ...children) {
  return count ? [make("h3", {}, title, make("span", {}, number(count))), ...children] : [];
}

// ---------------------------------------------------------------- panel
function select(entity, travel = false) {
  const panel = byId("panel");
  state.selected = entity;
  state.hovered = -1;
  byId("tip").hidden = true;
  panel.hidden = entity < 0;
  if (entity >= 0) {
    if (state.isolated >= 0 && memberOf(entity) !== state.isolated) isolate(-1);
    panel.replaceChildren(...describe(entity));
    panel.scrollTop = 0;
    if (!byId("graph-view").hidden) bringIntoView(entity, travel);
  }
  history.replaceState(null, "", entity < 0 ? location.pathname : `#${encodeURIComponent(entities[entity].id)}`);
  redraw();
}

function describe(entity) {
  const e = entities[entity];
  const close = make("button", { type: "button", className: "close", ariaLabel: "Close", onclick: () => select(-1) }, "×");
  const kind = data.types[e.type] ? [make("span", { className: "kind" }, data.types[e.type])] : [];
  const facts = `${plural(e.degree, "relationship", "relationships")} · ${plural(e.passages, "passage", "passages")}`;
  const sources = listOf(e.sources, (source) => make("li", {}, quotation(source)), 5);
  if (e.moreSources) sources.push(make("p", { className: "small more" }, `and ${number(e.moreSources)} more, not on this page`));
  const claims = listOf(e.claims, (i) => claimItem(data.claims[i], entity), 8);
  if (e.moreClaims) claims.push(make("p", { className: "small more" }, `and ${number(e.moreClaims)} more, not on this page`));
  const groups = levels.map((_, level) => level).filter((level) => memberOf(entity, level) >= 0);
  const ties = [...links[entity]].sort((a, b) => relationships[b].weight - relationships[a].weight || a - b);
  return [
    make("div", { className: "top" }, make("h2", {}, e.title), close),
    make("p", { className: "facts" }, ...kind, facts),
    ...longText(e.description),
    ...(e.aliases.length ? [make("p", { className: "aliases" }, `Also called ${e.aliases.join(", ")}`)] : []),
    ...section("Source sentences", e.sources.length + e.moreSources, ...sources),
    ...section("Relationships", ties.length, ...listOf(ties, (i) => relationItem(relationships[i], entity), 12)),
    ...section("Claims", e.claims.length + e.moreClaims, ...claims),
    ...section("Communities", groups.length, make("ul", {}, ...groups.map((level) => communityItem(entity, level)))),
  ];
}

// A long description is folded; its end is one click away.
function longText(text) {
  const paragraph = make("p", { className: "description" }, text);
  if (text.length < 420) return [paragraph];
  paragraph.classList.add("folded");
  const more = make("button", { type: "button", className: "more" }, "Read all");
  more.onclick = () => { paragraph.classList.remove("folded"); more.remove(); };
  return [paragraph, more];
}

function quotation([sentence, start, end]) {
  const [document_, text] = data.sentences[sentence];
  const letters = Array.from(text); // offsets count characters, not UTF-16 units
  const part = (from, to) => letters.slice(from, to).join("");
  const words = end > start ? [part(0, start), make("mark", {}, part(start, end)), part(end)] : [text];
  return make("blockquote", {}, ...words, make("cite", {}, data.documents[document_] || ""));
}

function relationItem(edge, entity) {
  const outward = edge.source === entity;
  const label = edge.predicate || "related to";
  const sources = edge.sources.length
    ? make("details", { className: "sources" }, make("summary", {}, "Source"), make("div", {}, ...edge.sources.map(quotation)))
    : null;
  return make("li", { className: "relation" },
    make("span", { className: "arrow", title: outward ? "from this entity" : "to this entity" }, outward ? "→" : "←"),
    ...(outward
      ? [make("span", { className: "predicate" }, `${label} `), linkTo(edge.target)]
      : [linkTo(edge.source), make("span", { className: "predicate" }, ` ${label}`)]),
    edge.description ? make("p", { className: "small" }, edge.description) : null,
    sources);
}

function claimItem(claim, entity) {
  const other = claim.subject === entity ? claim.object : claim.subject;
  const name = claim.subject === entity ? claim.objectName : claim.subjectName;
  const [from, to] = claim.dates.map((date) => date.replace(/T00:00:00.*$/, ""));
  const when = from && to && from !== to ? `${from} to ${to}` : from || to;
  return make("li", {},
    make("span", { className: `status ${claim.status}` }, claim.status),
    make("strong", {}, claim.type), when ? make("span", { className: "small" }, ` ${when}`) : null,
    make("p", {}, claim.description),
    ...(other >= 0 && other !== entity ? [make("p", { className: "small" }, claim.subject === entity ? "about " : "by ", linkTo(other))]
      : name ? [make("p", { className: "small" }, name)] : []),
    claim.quote ? make("blockquote", { className: "small" }, claim.quote, make("cite", {}, data.documents[claim.document] || "")) : null);
}

function communityItem(entity, level) {
  const at = memberOf(entity, level);
  const community = levels[level].communities[at];
  const show = make("button", { type: "button", className: "more" }, `Show its ${plural(community.size, "entity", "entities")}`);
  show.onclick = () => { setLevel(level); select(-1); isolate(at); };
  return make("li", {}, make("details", { open: level === state.level },
    make("summary", {}, make("span", { className: "small" }, `Level ${levels[level].level}`), make("span", {}, community.title)),
    make("div", { className: "small" }, make("p", {}, community.summary || "No report."),
      ...(community.findings.length ? [make("ul", {}, ...community.findings.map((text) => make("li", {}, text)))] : []), show)));
}

// ---------------------------------------------------------------- communities
function setLevel(level) {
  state.level = level;
  state.isolated = -1;
  byId("level").value = String(level);
  readTheme();
  drawLegend();
  if (state.selected >= 0) byId("panel").replaceChildren(...describe(state.selected));
  if (!byId("list-view").hidden) fillList();
  redraw();
}

function isolate(community) {
  state.isolated = community;
  for (const row of byId("legend-rows").querySelectorAll("button")) {
    row.setAttribute("aria-pressed", String(Number(row.dataset.community) === community));
  }
  if (community >= 0) fit(true, entities.filter((_, i) => memberOf(i) === community));
  redraw();
}

function drawLegend() {
  const communities = levels.length ? levels[state.level].communities : [];
  const rows = communities.slice(0, LEGEND_ROWS).map((community, i) => {
    const row = make("button", { type: "button", title: community.title }, swatch(i),
      make("span", { className: "what" }, community.title), make("span", { className: "size" }, number(community.size)));
    row.dataset.community = String(i);
    row.setAttribute("aria-pressed", "false");
    row.onclick = () => {
      const same = state.isolated === i;
      select(-1);
      isolate(same ? -1 : i);
      if (same) fit(true);
    };
    return make("li", {}, row);
  });
  const rest = communities.length - rows.length;
  if (rest > 0) rows.push(make("li", { className: "rest" }, `and ${plural(rest, "smaller one", "smaller ones")}, in quiet tints`));
  byId("legend-rows").replaceChildren(...rows);
  byId("legend").hidden = !rows.length;
}
