// A person as a coloured disc with their letters, and a dot that says whether they are online.

import { hueOf, initials } from "../names.js";
import { serviceOf } from "../services.js";
import { el, icon } from "./dom.js";

/** The disc; `online` is true, false, or null where it is not to be shown. */
export function avatar(name, online = null) {
  const service = serviceOf(name);
  const face = service === null ? initials(name) : icon(service.icon);
  const disc = el(`span.avatar${service === null ? "" : ".service"}`, { "aria-hidden": "true" }, face);
  disc.style.setProperty("--hue", hueOf(name));
  if (online !== null) disc.append(el(`span.dot${online ? ".online" : ""}`));
  return disc;
}
