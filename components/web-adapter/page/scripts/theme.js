// Light, dark, or as the system has it.

import { keep } from "./browser_storage.js";

const THEMES = ["auto", "light", "dark"];

export const theme = {
  current: "auto",

  /** Puts on what was chosen last. */
  restore() {
    const kept = keep.get("theme", "auto");
    this.wear(THEMES.includes(kept) ? kept : "auto");
  },

  /** The next one round. */
  next() {
    this.wear(THEMES[(THEMES.indexOf(this.current) + 1) % THEMES.length]);
    keep.set("theme", this.current);
  },

  wear(name) {
    this.current = name;
    document.documentElement.dataset.theme = name;
  },
};
