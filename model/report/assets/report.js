// The gallery of runs: each post with what a run predicted for it, and what that was made from.
(() => {
"use strict";
const { $, load, element, picture, chips, chosen } = m3h;
const about = m3hAbout;
const number = () => Number($("run").value);
const origins = { text: "copied from the text", ocr: "copied from words in the picture", alt: "copied from the description", generated: "generated", classifier: "classifier", "": "origin not known" };
const origin = (name) => origins[name] ?? `copied from ${name}`;

function predictions(predicted, scored) {
  const list = element("ol", { className: "predicted" });
  for (const [phrase, score, from, right] of predicted) list.append(element("li", { className: right ? "right" : "" },
    element("strong", { textContent: phrase }), ` ${right ? "✓ right" : ""} `,
    element("span", { className: "muted", textContent: scored && score !== null ? `${origin(from)}, ${score}` : origin(from) })));
  return list;
}

const gold = (record, ranks) => record.gold.map(([phrase, present], i) => `${phrase} (${present ? "present" : "absent"}, ${ranks[i] ? `found at ${ranks[i]}` : "missed"})`);

function card(record, known, of) {
  const line = (name, values) => (values?.length ? element("div", { className: "muted", textContent: `${name}: ${values.slice(0, 12).join(", ")}` }) : null);
  return element("article", { className: "card" }, picture(record, known, false), element("div", { className: "text" },
    element("div", { textContent: record.text.length > 220 ? `${record.text.slice(0, 220)}…` : record.text }),
    chips(gold(record, of.ranks), "key"), predictions(of.predicted, false),
    line("words in the picture", record.ocr), line("attributes", record.attributes),
    element("button", { type: "button", textContent: "Details", ariaLabel: `Details of ${record.post_id}`, onclick: () => detail(record, known ?? {}, of) })));
}

function lineage(record, run) {
  const read = about.runs[run], made = record.record ?? {};
  const features = element("ul", {}, ...read.features.map((name) => element("li", {}, element("a", { href: `#feature-${name}`, textContent: about.features[name], onclick: () => $("detail").close() }))));
  const from = made.dump_sha256 ? `${made.source}, position ${made.position}; dump sha256 ${made.dump_sha256}` : made.source && `${made.source}, position ${made.position}`;
  return m3h.listed({
    run: element("a", { href: `#run-${run}`, textContent: `${read.folder}, weights sha256 ${read.weights}`, onclick: () => $("detail").close() }),
    record: from, picture: Object.values(record.found ?? {}).join(", "), features: read.features.length ? features : "",
    "on the command line": element("code", { textContent: `m3h why ${read.folder} --prediction ${record.post_id}` }),
  }, {});
}

async function detail(record, known, of) {
  const run = number();
  const others = await Promise.all(about.runs.map((_, i) => load(`run${i}`, of.part)));
  const also = others.map((part, i) => [about.runs[i].label, part.records[of.row].predicted]).filter((_, i) => i !== run);
  const plain = { text: record.text, id: record.post_id, split: record.split, language: record.lang, "author's description": record.alt };
  m3h.open(picture(record, known, true), element("h3", { textContent: `Predictions of ${about.runs[run].label}` }), predictions(of.predicted, true),
    m3h.listed(plain, { keyphrases: gold(record, of.ranks), tokens: record.tokens, ...m3h.facts(known) }),
    ...also.flatMap(([label, predicted]) => [element("h3", { textContent: label }), predictions(predicted, true)]),
    element("h3", { textContent: "Made from" }), lineage(record, run));
}

async function tests(index) {
  const own = await load(`run${number()}`, "index");
  const bit = (rows, names, name) => (i) => (rows[i] >> names.indexOf(name)) & 1;
  const found = [];
  const [outcome, presence, has] = ["outcome", "presence", "has"].map((id) => $(id).value);
  if (outcome === "none") found.push((i) => !bit(own.found, about.runBits, "any")(i));
  else if (outcome) found.push(bit(own.found, about.runBits, outcome));
  if (presence) found.push(about.postBits.includes(presence) ? bit(index.has, about.postBits, presence) : bit(own.found, about.runBits, presence));
  if (has) found.push(bit(index.has, about.postBits, has));
  if (chosen("origin") !== null) found.push((i) => (own.origins[i] >> chosen("origin")) & 1);
  const phrase = $("phrase").value.trim().toLowerCase();
  if (phrase) found.push(m3h.phraseTest(index.names, index.phrases, phrase));
  const query = $("query").value.trim().toLowerCase();
  if (query) found.push(m3h.finder(query, await load("posts", "search"), index.picture));
  return found;
}

async function cards(index, here) {
  const run = `run${number()}`;
  const parts = await Promise.all(here.map((i) => { const part = Math.floor(i / index.per); return Promise.all([part, load("posts", part), load(run, part)]); }));
  return here.map((i, n) => {
    const [part, posts, predicted] = parts[n], row = i % index.per;
    const record = posts.records[row];
    return card(record, posts.pictures[record.image_sha256], { ...predicted.records[row], part, row });
  });
}

const search = m3h.gallery({ index: () => load("posts", "index"), tests, cards, noun: () => "posts" });
m3h.begin(async () => {
  const index = await load("posts", "index");
  m3h.suggest("phrases", index.names, index.phrases);
  await search();
});
})();
