// Search, and the tables that hold the same as the picture.

// ---------------------------------------------------------------- search
const search = byId("search");
const results = byId("results");
let found = [];
let active = -1;

// Names that begin with the words come first, then words inside that do, then any place; ties by connections.
function findEntities(query, limit) {
  const words = folded(query.trim());
  if (!words) return [];
  const ranked = [];
  searchText.forEach((names, i) => {
    const rank = Math.min(...names.map((name) => {
      const at = name.indexOf(words);
      return at < 0 ? 9 : name === words ? 0 : at === 0 ? 1 : /[\p{L}\p{N}]/u.test(name[at - 1]) ? 3 : 2;
    }));
    if (rank < 9) ranked.push([rank, i]);
  });
  return ranked.sort((a, b) => a[0] - b[0] || a[1] - b[1]).slice(0, limit).map(([, i]) => i);
}

function showResults() {
  found = findEntities(search.value, 30);
  active = found.length ? 0 : -1;
  const rows = found.map((entity, i) => {
    const e = entities[entity];
    const row = make("li", { id: `result-${i}`, role: "option" },
      make("span", { className: "what" }, e.title), make("span", { className: "kind" }, data.types[e.type]));
    row.onpointerdown = (event) => { event.preventDefault(); choose(i); };
    return row;
  });
  results.replaceChildren(...(rows.length ? rows : [make("li", { className: "empty" }, "Nothing by that name")]));
  openResults(search.value.trim() !== "");
  mark();
}

function mark() {
  [...results.children].forEach((row, i) => row.setAttribute("aria-selected", String(i === active)));
  if (active >= 0) results.children[active].scrollIntoView({ block: "nearest" });
  search.setAttribute("aria-activedescendant", active >= 0 ? `result-${active}` : "");
}

function openResults(open) {
  results.hidden = !open;
  search.setAttribute("aria-expanded", String(open));
}

function choose(i) {
  openResults(false);
  if (found[i] !== undefined) select(found[i], true);
}

search.addEventListener("input", showResults);
search.addEventListener("focus", () => { if (search.value.trim()) showResults(); });
search.addEventListener("blur", () => openResults(false));
search.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step && found.length) {
    active = (active + step + found.length) % found.length;
    mark();
  } else if (event.key === "Enter") choose(active);
  else if (event.key === "Escape") { openResults(false); search.blur(); }
  else return;
  event.preventDefault();
});

// ---------------------------------------------------------------- list view
const PAGE_ROWS = 200;
const communityTitle = (i) => (memberOf(i) < 0 ? "" : levels[state.level].communities[memberOf(i)].title);
const TABLES = {
  entities: { rows: entities.map((_, i) => i), columns: [
    ["Entity", (i) => entities[i].title, (i) => linkTo(i)],
    ["Type", (i) => data.types[entities[i].type]],
    ["Relationships", (i) => entities[i].degree, null, "number"],
    ["Community", communityTitle],
    ["Description", (i) => entities[i].description, null, "long"]] },
  relationships: { rows: relationships.map((_, i) => i), columns: [
    ["From", (i) => entities[relationships[i].source].title, (i) => linkTo(relationships[i].source)],
    ["Predicate", (i) => relationships[i].predicate],
    ["To", (i) => entities[relationships[i].target].title, (i) => linkTo(relationships[i].target)],
    ["Weight", (i) => relationships[i].weight, null, "number"],
    ["Description", (i) => relationships[i].description, null, "long"]] },
};
const list = { table: "entities", sort: -1, down: false, shown: PAGE_ROWS };

function fillList() {
  const { rows, columns } = TABLES[list.table];
  const words = folded(byId("filter").value.trim());
  const kept = rows.filter((i) => !words || columns.some(([, value]) => folded(String(value(i))).includes(words)));
  if (list.sort >= 0) {
    const value = columns[list.sort][1];
    const sign = list.down ? -1 : 1;
    const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b));
    kept.sort((a, b) => sign * compare(value(a), value(b)) || a - b);
  }
  byId("list-head").replaceChildren(make("tr", {}, ...columns.map(([title], c) => headCell(title, c))));
  byId("list-body").replaceChildren(...kept.slice(0, list.shown).map((i) => make("tr", {}, ...columns.map(
    ([, value, element, className]) => make("td", { className: className || "" }, element ? element(i) : shorten(String(value(i)), 280))))));
  byId("matches").textContent = `${number(kept.length)} of ${number(rows.length)}`;
  byId("more").hidden = kept.length <= list.shown;
}

const shorten = (text, limit) => (text.length > limit ? `${text.slice(0, limit).trimEnd()}…` : text);

function headCell(title, column) {
  const cell = make("th", { scope: "col" }, make("button", { type: "button", onclick: () => {
    // Numbers are most wanted from the top, names from A.
    const first = typeof TABLES[list.table].columns[column][1](0) === "number";
    list.down = list.sort === column ? !list.down : first;
    list.sort = column;
    fillList();
    byId("list-head").querySelectorAll("button")[column].focus();
  } }, title));
  if (list.sort === column) cell.setAttribute("aria-sort", list.down ? "descending" : "ascending");
  return cell;
}

function showTable(name) {
  Object.assign(list, { table: name, sort: -1, shown: PAGE_ROWS });
  for (const key of Object.keys(TABLES)) byId(`list-${key}`).setAttribute("aria-pressed", String(key === name));
  fillList();
}

function showView(name) {
  for (const key of ["graph", "list"]) {
    byId(`${key}-view`).hidden = key !== name;
    byId(`show-${key}`).setAttribute("aria-pressed", String(key === name));
  }
  if (name === "list") fillList();
}

byId("show-graph").onclick = () => showView("graph");
byId("show-list").onclick = () => showView("list");
byId("list-entities").onclick = () => showTable("entities");
byId("list-relationships").onclick = () => showTable("relationships");
byId("filter").oninput = () => { list.shown = PAGE_ROWS; fillList(); };
byId("more").onclick = () => { list.shown += PAGE_ROWS; fillList(); };
