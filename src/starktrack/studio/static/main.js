// The page: joins model, stage, timeline and the server.

import { Actions } from "./actions.js";
import { Files } from "./files.js";
import { KIND, Model } from "./model.js";
import { Link, fetchJson } from "./link.js";
import { Overlay } from "./overlay.js";
import { Stage } from "./stage.js";
import { Timeline } from "./timeline.js";

const $ = (id) => document.getElementById(id);
const model = new Model();
const actions = new Actions(say);
const link = new Link(take, (isThere) => {
  if (isThere) quiet(); else { actions.hold(false); say("The server is not there. Start it again: the page goes on by itself."); }
});
const stage = new Stage($("picture"), model, actions, {
  onChoose: choose_,
  onBox: (target, box) => (target === null ? newTarget(box) : ask("set_box", { target, frame: model.frame, box_xywh: box })),
  onError: say,
});
const timeline = new Timeline($("timeline"), model, (frame, target) => actions.add(() => { if (target !== null) choose_(target); go(frame); }));
const files = new Files(model, actions, { onOpen: (path) => actions.add(() => open(path)), onError: say, onDone: (words) => { $("saved").textContent = words; } });
const overlay = new Overlay($("overlay"), $("overlay-note"), model, () => redraw());
stage.overlay = overlay;
model.onRows = (target, first, last) => timeline.touch(target, first, last);
let playing = null;
let followed = false;
let followedAt = 0;
let redrawDue = false;

const FOLLOW_MS = 80;

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
    actions.hold(true); // also where the server came back by itself
    model.begin({ ...message, path: link.path });
    stage.begin();
    timeline.forget();
    overlay.clear();
    controls(message);
    go(Math.min(model.frame, message.num_frames - 1));
  } else if (message.type === "whole") {
    actions.hold(false);
  } else if (message.type === "targets") {
    const wasTracking = model.tracking;
    model.list(message);
    controls(message);
    if (wasTracking && !message.tracking) {
      followed = false;
      $("speed").textContent = "";
      $("spoken").textContent = `Tracking has ended. ${model.words}`;
    }
  } else if (message.type === "rows") {
    model.rows(message.content);
    hint();
    if (!model.tracking) overlay.ask();
  } else if (message.type === "progress") {
    progress(message);
  } else if (message.type === "exporting") {
    $("saved").textContent = `Exporting … ${Math.round(100 * message.share)} %`;
  } else if (message.type === "saved") {
    $("saved").textContent = "Saved";
  } else if (message.type === "error") {
    say(message.message);
  }
  redraw();
}

function progress({ frame, left, frames_per_second: rate, outlines }) {
  if (!model.tracking) return;
  const seconds = rate ? Math.ceil(left / rate) : 0;
  const time = seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
  $("speed").textContent = rate ? `${rate} frames/s, ${time} left` : "Loading the network …";
  if (outlines) overlay.take(outlines);
  if (!followed || stage.loading.size || performance.now() - followedAt < FOLLOW_MS) return;
  followedAt = performance.now();
  go(outlines && overlay.kind === "outline" ? outlines.frame : frame);
}

/** Say what comes next, until a person has done it once. */
function hint() {
  const targets = [...model.targets.values()];
  const words = !targets.length ? "Drag a box around what you want to follow."
    : model.tracking || targets.some((each) => each.kinds.includes(KIND.TRACKED)) ? ""
      : "Press Track (T) to follow it through the video, or New target (N) to add another.";
  $("hint").textContent = words;
  $("hint").hidden = !words;
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
  for (const id of ["import-file", "new-target"]) $(id).disabled = false;
  $("doubtful").disabled = !hasTargets;
  $("frame-tools").disabled = model.chosen === null || model.tracking;
  $("saved").textContent = "";
  $("overlay").disabled = !hasTargets;
  hint();
  joinChoices();
  const list = $("targets");
  if (list.contains(document.activeElement) && document.activeElement.type === "text" && list.children.length === model.targets.size) return;
  list.replaceChildren(...[...model.targets.values()].map((target, number) => targetRow(target, number)));
}

/** Offer every target but the chosen one to be joined with it. */
function joinChoices() {
  $("join").replaceChildren(option("", "another target"), ...[...model.targets.values()]
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
  pick.addEventListener("click", () => actions.add(() => choose_(target.id)));
  const name = document.createElement("input");
  name.type = "text";
  name.value = target.name;
  name.maxLength = 200;
  name.setAttribute("aria-label", `Name of target ${number + 1}`);
  name.addEventListener("change", () => actions.add(() => ask("rename", { target: target.id, name: name.value })));
  const colour = document.createElement("input");
  colour.type = "color";
  colour.value = target.colour;
  colour.setAttribute("aria-label", `Colour of ${target.name}`);
  colour.addEventListener("change", () => actions.add(() => ask("rename", { target: target.id, name: target.name, colour: colour.value })));
  row.append(pick, colour, name);
  return row;
}

// What a person does. Everything here runs as an action, so it reads a model that holds all that was done before.

function choose_(id) {
  if (!model.targets.has(id)) return;
  model.chosen = id;
  setNew(false);
  for (const [number, row] of [...$("targets").children].entries()) {
    const isChosen = [...model.targets.keys()][number] === id;
    row.className = isChosen ? "chosen" : "";
    row.firstElementChild.setAttribute("aria-pressed", String(isChosen));
  }
  joinChoices();
  $("frame-tools").disabled = model.tracking;
  overlay.ask();
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
  if (!playing) overlay.ask();
  if (!playing && !model.tracking) $("spoken").textContent = model.words;
}

function play() {
  if (playing) { clearInterval(playing); playing = null; $("play").textContent = "Play"; return; }
  if (!model.video) return;
  $("play").textContent = "Stop playing";
  playing = setInterval(() => {
    if (model.frame >= model.video.num_frames - 1) { play(); return; }
    if (stage.loading.size < 3 && actions.isIdle) go(model.frame + 1);
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

function frameTool(action, values) {
  return model.chosen === null || model.tracking ? undefined : ask(action, { target: model.chosen, ...values });
}
const markAbsent = () => frameTool("mark_absent", { frame: model.frame });
const removeBox = () => frameTool("clear", { first: model.frame, last: model.frame });
const cutHere = () => frameTool("split", { frame: model.frame });
const acceptAll = () => frameTool("accept", { first: 0, last: model.video.num_frames - 1 });

function interpolate() {
  const target = model.chosenTarget;
  if (!target) return undefined;
  const first = model.nearestKey(-1, true);
  const last = target.kinds[model.frame] === KIND.KEY ? model.frame : model.nearestKey(1, true);
  if (first === null || last === null) { say("Interpolation needs a key box before this frame and one at or after it. Draw the one that is missing."); return undefined; }
  return frameTool("interpolate", { first, last });
}

async function nextDoubtful() {
  const found = await ask("next_doubtful", { after: model.frame });
  if (found === null) say("No doubtful frame comes after this one.");
  else if (found) { choose_(found.target); go(found.frame); }
}

/** Move or resize the chosen box by whole pixels. */
function nudge(dx, dy, isResize) {
  const target = model.chosenTarget;
  const box = target && model.box(target);
  if (!box) return undefined;
  const [x, y, w, h] = box;
  const moved = isResize ? [x, y, Math.max(1, w + dx), Math.max(1, h + dy)] : [x + dx, y + dy, w, h];
  return frameTool("set_box", { frame: model.frame, box_xywh: moved });
}

function boxInTheMiddle() {
  if (!model.video || model.tracking) return undefined;
  const { width, height } = model.video;
  const side = Math.max(4, Math.round(Math.min(width, height) / 5));
  const box = [Math.round((width - side) / 2), Math.round((height - side) / 2), side, side];
  return stage.isNew || model.chosen === null ? newTarget(box) : frameTool("set_box", { frame: model.frame, box_xywh: box });
}

function nextOverlay() {
  const choices = [...$("overlay").options].filter((each) => !each.disabled);
  const at = choices.findIndex((each) => each.value === $("overlay").value);
  $("overlay").value = choices[(at + 1) % choices.length].value;
  $("overlay").dispatchEvent(new Event("change"));
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
  ["B", "track both ways", () => track("both")],
  ["Esc", "stop tracking", null],
  ["A", "not visible in this frame", markAbsent],
  ["Delete", "remove the box of this frame", null],
  ["I", "interpolate between the key boxes around this frame", interpolate],
  ["C", "cut the track before this frame", cutHere],
  ["Enter", "accept the whole track as key boxes", null],
  ["+ and -", "zoom about the chosen box; 0 shows all", null],
  ["Wheel, Alt+drag", "zoom at the pointer, move the picture; with fingers: two of them", null],
  ["O", "show the outline, the maps of the network, or nothing", nextOverlay],
  ["Ctrl+Z, Ctrl+Y", "undo, redo", null],
  ["?", "this list", () => $("help").showModal()],
];

document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, select, textarea") || document.querySelector("dialog[open]")) return;
  const key = event.key;
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const isButton = event.target.matches("button, label");
  const isCommand = event.ctrlKey || event.metaKey;
  let run = null;
  if (isCommand && key.toLowerCase() === "z") run = () => ask(event.shiftKey ? "redo" : "undo");
  else if (isCommand && key.toLowerCase() === "y") run = () => ask("redo");
  else if (isCommand) return;
  else if (event.altKey && key in arrows) run = () => nudge(...arrows[key], event.shiftKey);
  else if (key === "ArrowLeft" || key === "ArrowRight") run = () => go(model.frame + arrows[key][0] * (event.shiftKey ? 10 : 1));
  else if (key === "Home") run = () => go(0);
  else if (key === "End") run = () => go(model.video ? model.video.num_frames - 1 : 0);
  else if (key === " " && !isButton) run = play;
  else if (key === "Enter" && !isButton) run = acceptAll;
  else if (key === "Escape") run = () => ask("stop");
  else if (key === "Delete" || key === "Backspace") run = removeBox;
  else if (key === "[" || key === "]") run = () => { const frame = model.nearestKey(key === "[" ? -1 : 1); if (frame !== null) go(frame); };
  else if (key === "+" || key === "=") run = () => stage.zoomBy(1.5);
  else if (key === "-") run = () => stage.zoomBy(1 / 1.5);
  else if (key === "0") run = () => stage.fit();
  else if (/^[1-9]$/.test(key)) run = () => choose_([...model.targets.keys()][Number(key) - 1]);
  else run = KEYS.find(([name, , each]) => each && name.toLowerCase() === key.toLowerCase())?.[2];
  if (!run) return;
  event.preventDefault();
  actions.add(run);
});

// Videos.

async function open(path) {
  try {
    await fetchJson(`/api/video?path=${encodeURIComponent(path)}`);
    $("list").close();
    history.replaceState(null, "", `#${encodeURIComponent(path)}`);
    model.video = null;
    model.frame = 0;
    actions.hold(true); // until the rows are here
    link.open(path);
  } catch (error) { $("list-error").textContent = error.message; if (!$("list").open) say(error); }
}

const CLICKS = {
  "open-list": () => { files.list(); }, undo: () => ask("undo"), redo: () => ask("redo"),
  "help-button": () => $("help").showModal(), "help-close": () => $("help").close(),
  "message-close": quiet, "new-target": () => setNew(!stage.isNew), absent: markAbsent, "clear-box": removeBox, interpolate,
  cut: cutHere, accept: acceptAll, "delete-target": () => frameTool("delete_target", {}),
  first: () => go(0), back: () => go(model.frame - 1), forth: () => go(model.frame + 1), play,
  track: () => track("forward"), "track-back": () => track("backward"), "track-both": () => track("both"),
  stop: () => ask("stop"), doubtful: nextDoubtful,
  pause: () => {
    const isPaused = $("pause").textContent === "Pause";
    $("pause").textContent = isPaused ? "Go on" : "Pause";
    return ask(isPaused ? "pause" : "resume");
  },
};
for (const [id, run] of Object.entries(CLICKS)) $(id).addEventListener("click", () => actions.add(run));
$("frame").addEventListener("change", () => { const frame = Number($("frame").value); actions.add(() => go(frame)); });
$("join").addEventListener("change", () => {
  const other = Number($("join").value);
  if ($("join").value) actions.add(() => frameTool("join", { other }));
});
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
  if (!start.can_explain) {
    for (const each of $("overlay").querySelectorAll("[data-torch]")) { each.disabled = true; each.textContent += " (needs PyTorch)"; }
    $("overlay").title = 'Maps need PyTorch: pip install "starktrack[torch]"';
  }
  if (wanted) actions.add(() => open(wanted)); else files.list();
}
