"use strict";
// The page of `m3h serve`: asks POST /predict and shows what it answers. All texts are set as text, never as HTML.

const SVG = "http://www.w3.org/2000/svg";
const by = (id) => document.getElementById(id);
let picture = null; // {blob, url}
let answered = null;

function made(name, text, attributes = {}) {
  const node = document.createElement(name);
  node.textContent = text;
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

function fault(text) {
  by("error").textContent = text;
  by("error").hidden = !text;
}

// --- the picture of the post

async function asJpeg(file) {
  if (file.type === "image/jpeg") return file;
  const pixels = await createImageBitmap(file);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [pixels.width, pixels.height];
  const pen = canvas.getContext("2d");
  pen.fillStyle = "white"; // under what is transparent
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(pixels, 0, 0);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.95));
}

async function choose(file) {
  fault("");
  let blob = null;
  try {
    blob = file && (await asJpeg(file));
  } catch {
    fault(`${file.name}: this browser cannot read it as a picture.`);
  }
  if (picture) URL.revokeObjectURL(picture.url);
  picture = blob ? { blob, url: URL.createObjectURL(blob) } : null;
  const size = picture && `${Math.ceil(picture.blob.size / 1000).toLocaleString("en")} kB`;
  const how = blob && blob !== file ? ", made a JPEG by this browser" : "";
  by("chosen").textContent = picture ? `${file.name || "pasted picture"}, ${size}${how}` : "No picture.";
  by("clear").hidden = !picture;
}

function inBase64(blob) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(blob);
  });
}

by("file").addEventListener("change", () => choose(by("file").files[0]));
by("clear").addEventListener("click", () => {
  by("file").value = "";
  choose(null);
  by("file").focus();
});
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    by("drop").classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) document.addEventListener(name, () => by("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files[0]) choose(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
  if (file) {
    event.preventDefault();
    choose(file);
  }
});

// --- the answer

const score = (phrase) => (phrase.score > 0 && phrase.score < 0.0005 ? "<0.001" : phrase.score.toFixed(3));

function row(cells) {
  const line = document.createElement("tr");
  line.append(...cells);
  return line;
}

function showKeyphrases({ keyphrases, without }) {
  const rows = keyphrases.map((one) =>
    row([made("th", one.phrase, { scope: "row" }), made("td", score(one), { class: "n" }), made("td", one.origin)]),
  );
  by("keyphrases").replaceChildren(...rows);
  const parts = Object.entries(without);
  by("effect").hidden = parts.length === 0;
  const head = ["keyphrase", "all of it", ...parts.map(([name]) => `without ${name}`)];
  by("without-head").replaceChildren(row(head.map((name, i) => made("th", name, { scope: "col", class: i ? "n" : "" }))));
  const columns = [keyphrases, ...parts.map(([, found]) => found)];
  const phrases = [...new Set(columns.flat().map((one) => one.phrase))];
  const lines = phrases.map((phrase) => {
    const found = columns.map((column) => column.find((one) => one.phrase === phrase));
    return row([made("th", phrase, { scope: "row" }), ...found.map((one) => made("td", one ? score(one) : "–", { class: "n" }))]);
  });
  by("without").replaceChildren(...lines);
}

function showText({ tokens, attended, words, labels }) {
  const most = Math.max(...attended.map((one) => one.weight), 0);
  const shown = attended.length ? attended : tokens.map((word) => ({ word, weight: 0 }));
  by("tokens").replaceChildren(
    ...shown.flatMap(({ word, weight }) => {
      const node = made("span", word, most ? { title: weight.toFixed(3) } : {});
      if (most) node.style.backgroundColor = `rgba(var(--shade), ${(0.35 * weight) / most})`;
      return [node, " "];
    }),
  );
  by("shades").hidden = !most;
  by("read").hidden = words.length === 0;
  by("words").textContent = words.map((one) => one.name).join(" ");
  by("attributes").hidden = labels.length === 0;
  const named = ({ name, score: of }) => (of === null ? name : `${name} ${of.toFixed(2)}`);
  by("labels").replaceChildren(...labels.map((one) => made("li", named(one))));
}

function group(kind, boxes) {
  const all = document.createElementNS(SVG, "g");
  all.setAttribute("class", kind);
  for (const { name, left, top, width, height } of boxes) {
    const rect = document.createElementNS(SVG, "rect");
    for (const [key, value] of Object.entries({ x: left, y: top, width, height })) rect.setAttribute(key, value);
    const title = document.createElementNS(SVG, "title");
    title.textContent = name;
    rect.append(title);
    all.append(rect);
  }
  return all;
}

function showPicture({ words, objects, heatmaps }) {
  by("picture").hidden = !answered.url;
  if (!answered.url) return;
  by("heads").replaceChildren(...["none", ...heatmaps.map((one) => one.title)].map((title, i) => made("option", title, { value: i })));
  by("pick").hidden = heatmaps.length === 0;
  by("shown").onload = () => {
    if (by("heads").value === "0") by("boxes").setAttribute("viewBox", `0 0 ${by("shown").naturalWidth} ${by("shown").naturalHeight}`);
  };
  by("boxes").setAttribute("preserveAspectRatio", "none");
  by("boxes").replaceChildren(group("object", objects), group("word", words));
  by("show-words").parentElement.hidden = words.length === 0;
  by("show-objects").parentElement.hidden = objects.length === 0;
  choosePicture();
}

function choosePicture() {
  const chosen = answered.heatmaps[by("heads").value - 1];
  by("shown").src = chosen ? `data:image/png;base64,${chosen.png}` : answered.url;
  by("legend").hidden = !chosen;
  by("shown").alt = chosen ? `Attention over the picture: ${chosen.title}` : "The picture of the post";
  for (const kind of ["word", "object"]) by("boxes").querySelector(`.${kind}`).style.display = by(`show-${kind}s`).checked ? "" : "none";
}

by("heads").addEventListener("change", choosePicture);
for (const kind of ["words", "objects"]) by(`show-${kind}`).addEventListener("change", choosePicture);

async function ask() {
  const body = { text: by("text").value, alt: by("alt").value, details: true };
  if (picture) body.image = await inBase64(picture.blob);
  const response = await fetch("predict", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const found = await response.json();
  if (!response.ok) throw new Error(found.error);
  return found;
}

by("post").addEventListener("submit", async (event) => {
  event.preventDefault();
  fault("");
  by("send").disabled = true;
  by("status").textContent = "Reading the post …";
  try {
    const found = await ask();
    if (answered && answered.url) URL.revokeObjectURL(answered.url);
    answered = { heatmaps: found.heatmaps, url: picture && URL.createObjectURL(picture.blob) };
    by("notes").replaceChildren(...found.notes.map((note) => made("p", note, { class: "note" })));
    showKeyphrases(found);
    showText(found);
    showPicture(found);
    by("result").hidden = false;
    by("status").textContent = `${found.keyphrases.length} keyphrases.`;
    by("result").focus();
  } catch (error) {
    by("status").textContent = "";
    fault(error instanceof TypeError ? "The server does not answer. Is it still running?" : error.message);
  } finally {
    by("send").disabled = false;
  }
});

fetch("openapi.json")
  .then((response) => response.json())
  .then(({ info }) => (by("run").textContent = info.title.replace("m3h serve ", "")))
  .catch(() => fault("The server does not answer. Is it still running?"));
