// The socket to the server: sends what a person asks, reconnects, and hands on what comes back.

export class Link {
  constructor(onMessage, onStanding) {
    this.onMessage = onMessage;
    this.onStanding = onStanding;
    this.waiting = new Map();
    this.number = 0;
    this.path = null;
    this.socket = null;
    this.delay = 500;
  }

  open(path) {
    this.path = path;
    if (this.socket) { this.socket.onclose = null; this.socket.close(); }
    this.giveUp();
    this.connect();
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/api/socket?path=${encodeURIComponent(this.path)}`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => { this.delay = 500; this.onStanding(true); };
    socket.onmessage = ({ data }) => this.take(typeof data === "string" ? JSON.parse(data) : { type: "rows", content: data });
    socket.onclose = () => {
      this.onStanding(false);
      this.giveUp();
      setTimeout(() => { if (this.socket === socket) this.connect(); }, this.delay);
      this.delay = Math.min(8000, 2 * this.delay);
    };
  }

  /** Fail what was asked and will not be answered any more. */
  giveUp() {
    for (const { reject } of this.waiting.values()) reject(new Error("The server is not there; it is asked again."));
    this.waiting.clear();
  }

  take(message) {
    const waiting = this.waiting.get(message.number);
    if (waiting) {
      this.waiting.delete(message.number);
      if (message.type === "error") waiting.reject(new Error(message.message)); else waiting.resolve(message.result);
      return;
    }
    this.onMessage(message);
  }

  /** Ask the server to do something; the promise fails with its error. */
  ask(action, values = {}) {
    return new Promise((resolve, reject) => {
      if (!this.socket || this.socket.readyState !== WebSocket.OPEN) {
        reject(new Error("The server is not there; start it again, the page goes on by itself."));
        return;
      }
      const number = ++this.number;
      this.waiting.set(number, { resolve, reject });
      this.socket.send(JSON.stringify({ action, number, ...values }));
    });
  }
}

/** Fetch JSON; fail with the server's own words. */
export async function fetchJson(address, options) {
  const response = await fetch(address, options);
  const text = await response.text();
  let content;
  try { content = JSON.parse(text); } catch { throw new Error(text || `the server answered ${response.status}`); }
  if (!response.ok) throw new Error(content.error ?? `the server answered ${response.status}`);
  return content;
}
