// The page: joins model, stage, timeline and the server.

import { KIND, Model } from "./model.js";
import { Link, fetchJson } from "./link.js";
import { Stage } from "./stage.js";
import { Timeline } from "./timeline.js";

const $ = (id) => document.getElementById(id);
const model = new Model();
const link = new Link(take, (isThere) => { if (!isThere) say("The server is not there. Start it again: the page goes on by itself."); else quiet(); });
const stage = new Stage($("picture"), model, {
  onNew: (box) => newTarget(box),
  onBox: ({ choose, target, box }) => { if (choose !== undefined) choose_(choose); else ask("set_box", { target, frame: model.frame, box_xywh: box }); },
  onFrameShown: () => {},
  onError: say,
});
const timeline = new Timeline($("timeline"), model, (frame, target) => { if (target !== null) choose_(target); go(frame); });
let playing = null;
let followed = false;
let afterTracking = null;
let redrawDue = false;

function say(error) {
  const text = error instanceof Error ? error.message : String(error);
  $("message").firstElementChild.textContent = text;
  $("message").hidden = false;
}
function quiet() { $("message").hidden = true; }

async function ask(action, values) {
  try { const result = await link.ask(action, values); quiet(); return result; } catch (error) { say(error); return undefined; }
}

/** Draw at most once a screen refresh, however many messages come. */
function redraw() {
  if (redrawDue) return;
  redrawDue = true;
  requestAnimationFrame(() => { redrawDue = false; stage.draw(); timeline.draw(); });
}

// What the server sends.

function take(message) {
  if (message.type === "project") {
    model.begin({ ...message, path: link.path });
    stage.begin();
    controls(message);
    go(Math.min(model.frame, message.num_frames - 1));
  } else if (message.type === "targets") {
    const wasTracking = model.tracking;
    model.list(message);
    controls(message);
    if (wasTracking && !message.tracking) trackingEnded();
  } else if (message.type === "rows") {
    model.rows(message);
  } else if (message.type === "progress") {
    const seconds = message.frames_per_second ? Math.ceil(message.left / message.frames_per_second) : 0;
    $("speed").textContent = `${message.frames_per_second} frames/s, ${seconds} s left`;
    if (followed && model.tracking && stage.loading.size < 2) go(message.frame);
  } else if (message.type === "saved") {
    $("saved").textContent = "Saved";
  } else if (message.type === "error") {
    say(message.message);
  }
  redraw();
}

function trackingEnded() {
  $("speed").textContent = "";
  followed = false;
  const next = afterTracking;
  afterTracking = null;
  if (next) next();
}

function controls(standing) {
  const hasTargets = model.targets.size > 0;
  $("video-name").textContent = model.video.video;
  $("of").textContent = `of ${model.video.num_frames}`;
  $("frame").max = String(model.video.num_frames - 1);
  $("undo").disabled = !standing.can_undo;
  $("redo").disabled = !standing.can_redo;
  for (const id of ["track", "track-back", "track-both"]) $(id).disabled = model.tracking || !hasTargets;
  for (const id of ["stop", "pause"]) $(id).disabled = !model.tracking;
  if (!model.tracking) $("pause").textContent = "Pause";
  $("export").disabled = !hasTargets;
  $("import-file").disabled = false;
  $("doubtful").disabled = !hasTargets;
  $("frame-tools").disabled = model.chosen === null || model.tracking;
  $("saved").textContent = "";
  $("hint").hidden = hasTargets;
  const list = $("targets");
  list.replaceChildren(...[...model.targets.values()].map((target, number) => targetRow(target, number)));
  const join = $("join");
  join.replaceChildren(option("", "another target"), ...[...model.targets.values()]
    .filter((each) => each.id !== model.chosen).map((each) => option(String(each.id), each.name)));
}

function option(value, text) {
  const made = document.createElement("option");
  made.value = value;
  made.textContent = text;
  return made;
}

function targetRow(target, number) {
  const row = document.createElement("li");
  row.className = target.id === model.chosen ? "chosen" : "";
  const pick = document.createElement("button");
  pick.type = "button";
  pick.className = "pick";
  pick.textContent = String(number + 1);
  pick.setAttribute("aria-label", `Choose ${target.name}`);
  pick.setAttribute("aria-pressed", String(target.id === model.chosen));
  pick.addEventListener("click", () => choose_(target.id));
  const name = document.createElement("input");
  name.type = "text";
  name.value = target.name;
  name.maxLength = 200;
  name.setAttribute("aria-label", `Name of target ${number + 1}`);
  name.addEventListener("change", () => ask("rename", { target: target.id, name: name.value }));
  const colour = document.createElement("input");
  colour.type = "color";
  colour.value = target.colour;
  colour.setAttribute("aria-label", `Colour of ${target.name}`);
  colour.addEventListener("change", () => ask("rename", { target: target.id, name: target.name, colour: colour.value }));
  row.append(pick, colour, name);
  return row;
}

// What a person does.

function choose_(id) {
  if (!model.targets.has(id)) return;
  model.chosen = id;
  setNew(false);
  for (const [number, row] of [...$("targets").children].entries()) {
    const isChosen = [...model.targets.keys()][number] === id;
    row.className = isChosen ? "chosen" : "";
    row.firstElementChild.setAttribute("aria-pressed", String(isChosen));
  }
  $("frame-tools").disabled = model.tracking;
  redraw();
}

function setNew(isNew) {
  stage.isNew = isNew;
  $("new-target").setAttribute("aria-pressed", String(isNew));
}

async function newTarget(box) {
  const id = await ask("add_target", { frame: model.frame, box_xywh: box });
  if (id !== undefined) choose_(id);
}

function go(frame) {
  if (!model.video) return;
  model.frame = Math.min(model.video.num_frames - 1, Math.max(0, Math.round(frame) || 0));
  $("frame").value = String(model.frame);
  redraw();
  stage.show();
}

function play() {
  if (playing) { clearInterval(playing); playing = null; $("play").textContent = "Play"; return; }
  if (!model.video) return;
  $("play").textContent = "Stop playing";
  playing = setInterval(() => {
    if (model.frame >= model.video.num_frames - 1) { play(); return; }
    if (stage.loading.size < 3) go(model.frame + 1);
  }, 1000 / (model.video.frame_rate || 25));
}

/** Track every target that has a box in this frame; only the chosen one where it has none but others do not matter. */
async function track(direction) {
  if (!model.video || model.tracking) return;
  const targets = [...model.targets.values()].filter((each) => model.box(each)).map((each) => each.id);
  if (!targets.length) { say("No target has a box in this frame. Draw one, or go to a frame that has one."); return; }
  followed = true;
  await ask("track", { targets, frame: model.frame, direction, to_next_key: $("to-key").checked });
}

function trackBoth() {
  const start = model.frame;
  afterTracking = () => { go(start); track("backward"); };
  track("forward");
}

function frameTool(action, values) {
  if (model.chosen !== null && !model.tracking) ask(action, { target: model.chosen, ...values });
}
const markAbsent = () => frameTool("mark_absent", { frame: model.frame });
const removeBox = () => frameTool("clear", { first: model.frame, last: model.frame });
const cutHere = () => frameTool("split", { frame: model.frame });
const acceptAll = () => frameTool("accept", { first: 0, last: model.video.num_frames - 1 });

function interpolate() {
  const target = model.chosenTarget;
  if (!target) return;
  const first = model.nearestKey(-1, true);
  const last = target.kinds[model.frame] === KIND.KEY ? model.frame : model.nearestKey(1, true);
  if (first === null || last === null) { say("Interpolation needs a key box before and one at or after this frame."); return; }
  frameTool("interpolate", { first, last });
}

async function nextDoubtful() {
  const found = await ask("next_doubtful", { after: model.frame });
  if (found === null) say("No doubtful frame comes after this one.");
  else if (found) { choose_(found.target); go(found.frame); }
}

/** Move or resize the chosen box by whole pixels; without a box, put one in the middle. */
function nudge(dx, dy, isResize) {
  const target = model.chosenTarget;
  const box = target && model.box(target);
  if (!box || model.tracking) return;
  const [x, y, w, h] = box;
  const moved = isResize ? [x, y, Math.max(1, w + dx), Math.max(1, h + dy)] : [x + dx, y + dy, w, h];
  ask("set_box", { target: target.id, frame: model.frame, box_xywh: moved });
}

function boxInTheMiddle() {
  if (!model.video || model.tracking) return;
  const { width, height } = model.video;
  const side = Math.max(4, Math.round(Math.min(width, height) / 5));
  const box = [Math.round((width - side) / 2), Math.round((height - side) / 2), side, side];
  if (stage.isNew || model.chosen === null) newTarget(box);
  else ask("set_box", { target: model.chosen, frame: model.frame, box_xywh: box });
}

const KEYS = [
  ["Left, Right", "one frame back or on; with Shift ten", null],
  ["Home, End", "first or last frame", null],
  ["Space", "play or stop", null],
  ["[ and ]", "previous or next key box of the chosen target", null],
  ["D", "next doubtful frame", nextDoubtful],
  ["N", "new target: the next box drawn is another target", () => setNew(!stage.isNew)],
  ["M", "put a box in the middle of the frame", boxInTheMiddle],
  ["Alt+arrows", "move the chosen box by a pixel; with Shift resize it", null],
  ["1 to 9", "choose a target", null],
  ["T", "track forward from the boxes of this frame", () => track("forward")],
  ["R", "track backward", () => track("backward")],
  ["B", "track both ways", trackBoth],
  ["Esc", "stop tracking", null],
  ["A", "not visible in this frame", markAbsent],
  ["Delete", "remove the box of this frame", null],
  ["I", "interpolate between the key boxes around this frame", interpolate],
  ["C", "cut the track before this frame", cutHere],
  ["Enter", "accept the whole track as key boxes", null],
  ["+ and -", "zoom about the chosen box; 0 shows all. The wheel zooms, Alt and drag moves.", null],
  ["Ctrl+Z, Ctrl+Y", "undo, redo", null],
  ["?", "this list", () => $("help").showModal()],
];

document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, select, textarea") || document.querySelector("dialog[open]")) return;
  const key = event.key;
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const isButton = event.target.matches("button, label");
  let isOurs = true;
  if ((event.ctrlKey || event.metaKey) && key.toLowerCase() === "z") ask(event.shiftKey ? "redo" : "undo");
  else if ((event.ctrlKey || event.metaKey) && key.toLowerCase() === "y") ask("redo");
  else if (event.ctrlKey || event.metaKey) isOurs = false;
  else if (event.altKey && key in arrows) nudge(...arrows[key], event.shiftKey);
  else if (key === "ArrowLeft" || key === "ArrowRight") go(model.frame + arrows[key][0] * (event.shiftKey ? 10 : 1));
  else if (key === "Home") go(0);
  else if (key === "End") go(model.video ? model.video.num_frames - 1 : 0);
  else if (key === " " && !isButton) play();
  else if (key === "Enter" && !isButton) acceptAll();
  else if (key === "Escape") ask("stop");
  else if (key === "Delete" || key === "Backspace") removeBox();
  else if (key === "[" || key === "]") { const f = model.nearestKey(key === "[" ? -1 : 1); if (f !== null) go(f); }
  else if (key === "+" || key === "=") stage.zoomBy(1.5);
  else if (key === "-") stage.zoomBy(1 / 1.5);
  else if (key === "0") stage.fit();
  else if (/^[1-9]$/.test(key)) { const id = [...model.targets.keys()][Number(key) - 1]; if (id !== undefined) choose_(id); }
  else {
    const found = KEYS.find(([name, , run]) => run && name.toLowerCase() === key.toLowerCase());
    if (found) found[2](); else isOurs = false;
  }
  if (isOurs) event.preventDefault();
});

// Videos, files in and out.

async function openList(folder = "") {
  $("list-error").textContent = "";
  try {
    const content = await fetchJson(`/api/folder?path=${encodeURIComponent(folder)}`);
    const crumbs = ["", ...content.folder.split("/").filter(Boolean).map((_, i, all) => all.slice(0, i + 1).join("/"))];
    $("crumbs").replaceChildren(...crumbs.map((each) => button(each.split("/").at(-1) || "All videos", () => openList(each))));
    const rows = content.entries.map((entry) => {
      const item = document.createElement("li");
      const name = entry.path.split("/").at(-1);
      const words = { folder: `${name}/`, images: `${name}/ (frames)`, video: name };
      item.append(button(words[entry.kind], () => (entry.kind === "folder" ? openList(entry.path) : open(entry.path))));
      return item;
    });
    if (!rows.length) { const item = document.createElement("li"); item.textContent = "No video lies here."; rows.push(item); }
    $("entries").replaceChildren(...rows);
    if (!$("list").open) $("list").showModal();
    return content;
  } catch (error) { say(error); return null; }
}

function button(text, run) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", run);
  return made;
}

async function open(path) {
  try {
    await fetchJson(`/api/video?path=${encodeURIComponent(path)}`);
    $("list").close();
    history.replaceState(null, "", `#${encodeURIComponent(path)}`);
    model.video = null;
    model.frame = 0;
    link.open(path);
  } catch (error) { $("list-error").textContent = error.message; if (!$("list").open) say(error); }
}

function upload(file) {
  const request = new XMLHttpRequest();
  const bar = $("upload-progress");
  bar.hidden = false;
  bar.value = 0;
  $("list-error").textContent = "";
  request.upload.onprogress = (event) => { if (event.lengthComputable) bar.value = event.loaded / event.total; };
  request.onerror = () => { bar.hidden = true; $("list-error").textContent = "The upload broke off; send it again."; };
  request.onload = () => {
    bar.hidden = true;
    let content = {};
    try { content = JSON.parse(request.responseText); } catch { content.error = request.responseText; }
    if (request.status === 200) open(content.path); else $("list-error").textContent = content.error ?? "The upload was refused.";
  };
  request.open("POST", `/api/upload?name=${encodeURIComponent(file.name)}`);
  request.send(file);
}

async function exportAs(name) {
  if (!name) return;
  $("saved").textContent = "Exporting …";
  try {
    const response = await fetch(`/api/export?path=${encodeURIComponent(model.video.path)}&format=${encodeURIComponent(name)}`);
    if (!response.ok) throw new Error((await response.json()).error);
    const file = /filename="([^"]+)"/.exec(response.headers.get("content-disposition") ?? "")?.[1] ?? name;
    const anchor = document.createElement("a");
    anchor.href = URL.createObjectURL(await response.blob());
    anchor.download = file;
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(anchor.href), 10000);
    $("saved").textContent = `Exported ${file}`;
  } catch (error) { say(error); $("saved").textContent = ""; }
}

async function importFile(file) {
  try {
    const address = `/api/import?path=${encodeURIComponent(model.video.path)}&name=${encodeURIComponent(file.name)}`;
    const content = await fetchJson(address, { method: "POST", body: file });
    $("saved").textContent = `Imported ${content.targets} targets`;
  } catch (error) { say(error); }
}

const CLICKS = {
  "open-list": () => openList(), undo: () => ask("undo"), redo: () => ask("redo"),
  "help-button": () => $("help").showModal(), "help-close": () => $("help").close(), "list-close": () => $("list").close(),
  "message-close": quiet, "new-target": () => setNew(!stage.isNew), absent: markAbsent, "clear-box": removeBox, interpolate,
  cut: cutHere, accept: acceptAll, "delete-target": () => frameTool("delete_target", {}),
  first: () => go(0), back: () => go(model.frame - 1), forth: () => go(model.frame + 1), play,
  track: () => track("forward"), "track-back": () => track("backward"), "track-both": trackBoth,
  stop: () => { afterTracking = null; ask("stop"); }, doubtful: nextDoubtful,
  pause: () => { const isPaused = $("pause").textContent === "Pause"; $("pause").textContent = isPaused ? "Go on" : "Pause"; ask(isPaused ? "pause" : "resume"); },
};
for (const [id, run] of Object.entries(CLICKS)) $(id).addEventListener("click", run);
$("frame").addEventListener("change", () => go(Number($("frame").value)));
$("join").addEventListener("change", () => { if ($("join").value) frameTool("join", { other: Number($("join").value) }); });
$("export").addEventListener("change", () => { exportAs($("export").value); $("export").value = ""; });
$("import-file").addEventListener("change", () => { const [file] = $("import-file").files; if (file) importFile(file); $("import-file").value = ""; });
$("upload").addEventListener("change", () => { const [file] = $("upload").files; if (file) upload(file); $("upload").value = ""; });
for (const name of ["dragover", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    if (name === "drop" && event.dataTransfer.files.length) { openList().then(() => upload(event.dataTransfer.files[0])); }
  });
}
$("keys").replaceChildren(...KEYS.flatMap(([key, what]) => {
  const term = document.createElement("dt");
  term.textContent = key;
  const words = document.createElement("dd");
  words.textContent = what;
  return [term, words];
}));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

// The beginning: the video of the address, the one the studio was started with, or the list.
const start = await fetchJson("/api/folder").catch((error) => { say(error); return null; });
if (start) {
  $("export").append(...start.exports.map((each) => option(each.name, each.label)));
  const wanted = decodeURIComponent(location.hash.slice(1)) || start.first_video;
  if (wanted) open(wanted); else openList();
}
