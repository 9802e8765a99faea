// Files: the list of videos, uploads, exports and imports.

import { fetchJson } from "./link.js";

const $ = (id) => document.getElementById(id);

export class Files {
  constructor(model, actions, { onOpen, onError, onDone }) {
    Object.assign(this, { model, onOpen, onError, onDone });
    this.mostBytes = Infinity;
    $("list-close").addEventListener("click", () => $("list").close());
    $("upload").addEventListener("change", () => { const [file] = $("upload").files; if (file) this.upload(file); $("upload").value = ""; });
    // Files are made of what was done before; they take long, so nothing waits for them.
    $("export").addEventListener("change", () => {
      const name = $("export").value;
      actions.add(() => { this.export(name); });
      $("export").value = "";
    });
    $("import-file").addEventListener("change", () => {
      const [file] = $("import-file").files;
      if (file) actions.add(() => { this.import(file); });
      $("import-file").value = "";
    });
    for (const name of ["dragover", "dragleave", "drop"]) {
      document.addEventListener(name, (event) => {
        event.preventDefault();
        document.body.classList.toggle("drag", name === "dragover" && event.dataTransfer.types.includes("Files"));
        const [file] = name === "drop" ? event.dataTransfer.files : [];
        if (file) this.list().then(() => this.upload(file));
      });
    }
  }

  /** Show the videos of a folder. */
  async list(folder = "") {
    $("list-error").textContent = "";
    try {
      const content = await fetchJson(`/api/folder?path=${encodeURIComponent(folder)}`);
      this.mostBytes = content.most_upload_bytes;
      $("limit").textContent = `at most ${inUnits(this.mostBytes, Math.floor)}`;
      const crumbs = ["", ...content.folder.split("/").filter(Boolean).map((_, i, all) => all.slice(0, i + 1).join("/"))];
      $("crumbs").hidden = crumbs.length === 1;
      $("crumbs").replaceChildren(...crumbs.map((each) => button(each.split("/").at(-1) || "All videos", () => this.list(each))));
      const rows = content.entries.map((entry) => {
        const item = document.createElement("li");
        const name = entry.path.split("/").at(-1);
        const words = { folder: `${name}/`, images: `${name}/ (frames)`, video: name };
        item.append(button(words[entry.kind], () => (entry.kind === "folder" ? this.list(entry.path) : this.onOpen(entry.path))));
        return item;
      });
      if (!rows.length) { const item = document.createElement("li"); item.textContent = "No video lies here. Drop one in below."; rows.push(item); }
      $("entries").replaceChildren(...rows);
      if (!$("list").open) $("list").showModal();
    } catch (error) { this.onError(error); }
  }

  upload(file) {
    const bar = $("upload-progress");
    const fail = (words) => { bar.hidden = true; $("list-error").textContent = words; };
    if (file.size > this.mostBytes) {
      const [most, size] = [inUnits(this.mostBytes, Math.floor), inUnits(file.size, Math.ceil)];
      fail(`${file.name} must have at most ${most}, got ${size}; put it into the studio's folder and open Videos again.`);
      return;
    }
    const request = new XMLHttpRequest();
    bar.hidden = false;
    bar.value = 0;
    $("list-error").textContent = "";
    request.upload.onprogress = (event) => { if (event.lengthComputable) bar.value = event.loaded / event.total; };
    request.onerror = () => fail("The upload broke off; send it again.");
    request.onload = () => {
      bar.hidden = true;
      let content = {};
      try { content = JSON.parse(request.responseText); } catch { content.error = request.responseText; }
      if (request.status === 200) this.onOpen(content.path); else fail(content.error ?? "The upload was refused.");
    };
    request.open("POST", `/api/upload?name=${encodeURIComponent(file.name)}`);
    request.send(file);
  }

  async export(name) {
    if (!name) return;
    this.onDone("Exporting …");
    try {
      const address = `/api/export?path=${encodeURIComponent(this.model.video.path)}&format=${encodeURIComponent(name)}`;
      const made = await fetchJson(address, { method: "POST" });
      const anchor = document.createElement("a");
      anchor.href = `/api/export/${made.ticket}`;
      anchor.download = made.name;
      anchor.click();
      this.onDone(`Exported ${made.name}`);
    } catch (error) { this.onDone(""); this.onError(error); }
  }

  async import(file) {
    try {
      const address = `/api/import?path=${encodeURIComponent(this.model.video.path)}&name=${encodeURIComponent(file.name)}`;
      const content = await fetchJson(address, { method: "POST", body: file });
      this.onDone(`Imported ${content.targets} target${content.targets === 1 ? "" : "s"}`);
    } catch (error) { this.onError(error); }
  }
}

/** Return a size in MiB or GiB, with a tenth where it is not whole. */
function inUnits(bytes, round) {
  const [unit, name] = bytes >= 2 ** 30 ? [2 ** 30, "GiB"] : [2 ** 20, "MiB"];
  return `${round(10 * bytes / unit) / 10} ${name}`;
}

function button(text, run) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", run);
  return made;
}
