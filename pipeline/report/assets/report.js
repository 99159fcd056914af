// The gallery and the charts of a report. Texts enter the page as text, never as markup.
(() => {
"use strict";
const PER_PAGE = 24;
const m3h = window.m3h = { loaded: (kind, part, value) => m3h.arrived.get(`${kind}-${part}`)(value), arrived: new Map(), files: new Map() };
const $ = (id) => document.getElementById(id);

function load(kind, part) {
  const key = `${kind}-${part}`;
  if (!m3h.files.has(key)) {
    m3h.files.set(key, new Promise((resolve, reject) => {
      m3h.arrived.set(key, resolve);
      const name = typeof part === "number" ? String(part).padStart(5, "0") : part;
      const script = Object.assign(document.createElement("script"), { src: `data/${kind}-${name}.js` });
      script.onerror = () => reject(new Error(`data/${kind}-${name}.js is missing; make the report again.`));
      script.onload = () => script.remove();
      document.head.append(script);
    }));
  }
  return m3h.files.get(key);
}

function element(name, fields = {}, ...children) {
  const made = Object.assign(document.createElement(name), fields);
  made.append(...children.filter((child) => child !== null));
  return made;
}

function drawing(name, fields, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [field, value] of Object.entries(fields)) made.setAttribute(field, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function overlay(facts, labelled) {
  const [width, height] = facts.size;
  const svg = drawing("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const size = Math.max(width, height) / (labelled ? 48 : 26);
  const draw = (kind, label, x, y, w, h) => {
    const group = drawing("g", { class: kind });
    group.append(drawing("rect", { x, y, width: w, height: h }));
    if (labelled) group.append(drawing("text", { x: x + size / 4, y: Math.max(y, size), "font-size": size }, label));
    svg.append(group);
  };
  for (const [label, x1, y1, x2, y2] of facts.objects ?? []) draw("object", label, x1, y1, x2 - x1, y2 - y1);
  for (const [label, x, y, w, h] of facts.words ?? []) if (x !== undefined) draw("word", label, x, y, w, h);
  return svg;
}

function picture(record, facts, labelled) {
  if (!facts?.size) return element("div", { className: "nothing", textContent: record.reason ? record.reason.replaceAll("_", " ") : "no picture stored" });
  const sha = record.image_sha256;
  const image = element("img", { src: `thumbnails/${sha.slice(0, 2)}/${sha}.jpg`, alt: record.alt || `Picture of ${record.post_id ?? record.record_id}`, loading: "lazy" });
  return element("div", { className: record.sensitive ? "frame sensitive" : "frame" }, element("div", { className: "fit" }, image, overlay(facts, labelled)));
}

const chips = (values, className) => element("ul", { className: "chips" }, ...values.map((value) => element("li", { className, textContent: value })));

function card(record, facts) {
  const text = record.text ?? record.detail;
  const about = record.text === undefined ? `${record.stage}: ${record.reason}` : record.split;
  return element("article", { className: "card" }, picture(record, facts, false), element("div", { className: "text" },
    element("div", { textContent: text.length > 220 ? `${text.slice(0, 220)}…` : text }),
    record.keyphrases ? chips(record.keyphrases, "key") : null,
    element("div", { className: "muted", textContent: about }),
    element("button", { type: "button", textContent: "Details", ariaLabel: `Details of ${record.post_id ?? record.record_id}`, onclick: () => detail(record, facts ?? {}) })));
}

function detail(record, facts) {
  const scored = (rows) => (rows ?? []).map((row) => (row.at(-1) === null ? row[0] : `${row[0]} ${row.at(-1)}`));
  const listed = { keyphrases: record.keyphrases, tokens: record.tokens, attributes: scored(facts.attributes), objects: scored(facts.objects), "words in the picture": (facts.words ?? []).map((word) => word[0]) };
  const plain = { text: record.text, id: record.post_id ?? record.record_id, split: record.split, language: record.lang, written: record.created_at, group: record.group, "author's description": record.alt, stage: record.stage, reason: record.reason, means: record.means, detail: record.detail, source: record.source, position: record.position };
  const list = element("dl");
  for (const [name, value] of Object.entries(plain)) if (value !== undefined && value !== "" && value !== null) list.append(element("dt", { textContent: name }), element("dd", { textContent: value }));
  for (const [name, values] of Object.entries(listed)) if (values?.length) list.append(element("dt", { textContent: name }), element("dd", {}, chips(values, name === "keyphrases" ? "key" : "")));
  $("whole").replaceChildren(picture(record, facts, true), list);
  $("detail").showModal();
}

const state = { kind: "posts", page: 0, found: [], turn: 0 };

async function matches(index) {
  const chosen = (id) => ($(id).value === "" ? null : Number($(id).value));
  const tests = [];
  if (state.kind === "posts") {
    const [split, lang, has, phrase] = [chosen("split"), chosen("lang"), chosen("has"), $("phrase").value.trim().toLowerCase()];
    if (split !== null) tests.push((i) => index.split[i] === split);
    if (lang !== null) tests.push((i) => index.lang[i] === lang);
    if (has !== null) tests.push((i) => (index.has[i] >> has) & 1);
    if (phrase) {
      const exact = index.names.indexOf(phrase);
      const wanted = new Set(exact >= 0 ? [exact] : index.names.flatMap((name, i) => (name.includes(phrase) ? [i] : [])));
      tests.push((i) => index.phrases[i].some((one) => wanted.has(one)));
    }
  } else if (chosen("reason") !== null) tests.push((i) => index.reason[i] === chosen("reason"));
  const query = $("query").value.trim().toLowerCase();
  if (query) {
    const { texts, pictures } = await load(state.kind, "search");
    const words = query.split(/\s+/);
    const shown = pictures.map((text) => words.map((word) => text.includes(word)));
    tests.push((i) => words.every((word, n) => texts[i].includes(word) || shown[index.picture?.[i]]?.[n]));
  }
  return Array.from({ length: index.number }, (_, i) => i).filter((i) => tests.every((test) => test(i)));
}

async function search() {
  const turn = ++state.turn;
  try {
    const index = await load(state.kind, "index");
    const found = await matches(index);
    if (turn !== state.turn) return;
    Object.assign(state, { found, page: 0, index });
    await show();
  } catch (error) {
    $("found").textContent = error.message;
  }
}

async function show() {
  const turn = state.turn;
  const { found, index, kind } = state;
  const pages = Math.max(1, Math.ceil(found.length / PER_PAGE));
  state.page = Math.min(Math.max(state.page, 0), pages - 1);
  const page = state.page;
  const here = found.slice(page * PER_PAGE, (page + 1) * PER_PAGE);
  const parts = await Promise.all(here.map((i) => load(kind, Math.floor(i / index.per))));
  if (turn !== state.turn || page !== state.page) return;
  const cards = here.map((i, n) => {
    const record = parts[n].records[i % index.per];
    if (kind === "dropped") record.means = index.means[index.reason[i]];
    return card(record, parts[n].pictures[record.image_sha256]);
  });
  $("cards").replaceChildren(...cards);
  const named = kind === "posts" ? "posts" : "dropped records";
  $("found").textContent = `${found.length.toLocaleString("en")} of ${index.number.toLocaleString("en")} ${named}`;
  Object.assign($("page"), { value: page + 1, max: pages });
  $("pages").textContent = `of ${pages.toLocaleString("en")}`;
  $("previous").disabled = page === 0;
  $("next").disabled = page === pages - 1;
}

function turnTo(page) {
  state.page = page;
  return show().then(() => $("found").scrollIntoView({ block: "start" }));
}

async function change() {
  state.kind = $("kind").value;
  for (const label of document.querySelectorAll("[data-for]")) label.hidden = label.dataset.for !== state.kind;
  await search();
}

async function fill() {
  const index = await load("posts", "index");
  const options = (id, names) => $(id).append(...names.map((name, i) => element("option", { value: i, textContent: name })));
  options("split", index.splits);
  options("lang", index.langs);
  const frequency = new Uint32Array(index.names.length);
  for (const phrases of index.phrases) for (const phrase of phrases) frequency[phrase]++;
  const top = [...frequency.keys()].sort((a, b) => frequency[b] - frequency[a]).slice(0, 500);
  $("phrases").append(...top.map((i) => element("option", { value: index.names[i] })));
  options("reason", (await load("dropped", "index")).reasons);
}

function draw(places) {
  const style = getComputedStyle(document.documentElement);
  const [fg, line] = [style.getPropertyValue("--fg").trim(), style.getPropertyValue("--line").trim()];
  const text = { labelColor: fg, titleColor: fg };
  const config = { background: "transparent", view: { stroke: "transparent" }, axis: { ...text, gridColor: line, domainColor: line, tickColor: line }, legend: text };
  for (const place of places) vegaEmbed(place, m3hCharts[place.dataset.chart], { actions: false, renderer: "svg", config });
}

function drawWhenSeen() {
  const places = [...document.querySelectorAll("[data-chart]")];
  let library = null;
  const watch = new IntersectionObserver((seen) => {
    const now = seen.filter((one) => one.isIntersecting).map((one) => one.target);
    now.forEach((place) => watch.unobserve(place));
    library ??= new Promise((resolve) => {
      document.head.append(Object.assign(document.createElement("script"), { src: "vega.js", onload: resolve }));
    });
    if (now.length) library.then(() => draw(now));
  }, { rootMargin: "400px" });
  places.forEach((place) => watch.observe(place));
}

let waiting;
const soon = () => { clearTimeout(waiting); waiting = setTimeout(search, 150); };
$("filters").addEventListener("submit", (event) => event.preventDefault());
for (const id of ["split", "lang", "has", "reason"]) $(id).addEventListener("change", search);
for (const id of ["query", "phrase"]) $(id).addEventListener("input", soon);
for (const [id, name] of [["boxes", "hide-boxes"], ["ocr", "hide-ocr"]]) $(id).addEventListener("change", () => document.body.classList.toggle(name, !$(id).checked));
$("kind").addEventListener("change", change);
$("previous").addEventListener("click", () => turnTo(state.page - 1));
$("next").addEventListener("click", () => turnTo(state.page + 1));
$("page").addEventListener("change", () => turnTo((Number($("page").value) || 1) - 1));
requestAnimationFrame(() => setTimeout(() => { drawWhenSeen(); fill().then(change); }));
})();
