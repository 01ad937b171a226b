// Server-sent events read from a request that carries a token; EventSource can carry none.

/** Takes pieces of text and gives whole messages: `{ event, data }`. */
export class Parser {
  #rest = "";
  #event = "message";
  #data = [];

  /** The messages that a piece completes. */
  push(text) {
    const messages = [];
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop();
    for (const ended of lines) {
      const line = ended.replace(/\r$/u, "");
      if (line === "") {
        if (this.#data.length > 0) messages.push({ event: this.#event, data: this.#data.join("\n") });
        this.#event = "message";
        this.#data = [];
        continue;
      }
      const colon = line.indexOf(":");
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /u, "");
      if (field === "event") this.#event = value;
      if (field === "data") this.#data.push(value);
    }
    return messages;
  }
}
