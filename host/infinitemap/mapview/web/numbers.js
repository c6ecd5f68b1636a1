// Exact coordinates. A double loses integers beyond 2^53, so every coordinate of the
// plane is a BigInt wherever it is stored, shown, typed or sent.

export const MIN = -(2n ** 63n);
export const MAX = 2n ** 63n - 1n;

export const clamp = (n) => (n < MIN ? MIN : n > MAX ? MAX : n);

// group writes an integer with narrow no-break spaces between its thousands.
export function group(n) {
  const s = n.toString();
  const sign = s.startsWith("-") ? "\u2212" : "";
  return sign + s.replace("-", "").replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

// power writes 2^n with a raised exponent.
export function power(n) {
  return "2" + [...String(n)].map((d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]).join("");
}

// parseNumber reads a coordinate as people write them: decimal with any grouping, 0x…,
// 2^63-1, min and max. It throws an Error whose message says what is wrong.
export function parseNumber(text) {
  const s = text.toLowerCase().replace(/[\s_'\u202f\u00a0]/g, "").replace(/[\u2212\u2013]/g, "-");
  const show = text.trim();
  let n;
  let m;
  if (s === "min") n = MIN;
  else if (s === "max") n = MAX;
  else if (/^[+-]?\d{1,40}$/.test(s)) n = BigInt(s.replace("+", ""));
  else if ((m = /^([+-]?)(0x[0-9a-f]{1,32})$/.exec(s))) n = m[1] === "-" ? -BigInt(m[2]) : BigInt(m[2]);
  else if ((m = /^([+-]?)2\^(\d{1,2})([+-]\d{1,20})?$/.exec(s))) {
    n = 2n ** BigInt(m[2]);
    if (m[1] === "-") n = -n;
    if (m[3]) n += BigInt(m[3].replace("+", ""));
  } else throw new Error(show ? `“${show}” is not a whole number` : "a number is missing: write x, y");
  if (n < MIN || n > MAX) throw new Error(`${show} lies outside the plane (−2^63 to 2^63 − 1)`);
  return n;
}

// parsePlace reads "x, y" or "x, y, zoom"; zoom is undefined when it is not given.
export function parsePlace(text, minZoom, maxZoom) {
  let parts = text.trim().replace(/^#/, "").split(/[,;]/);
  if (parts.length === 1) parts = parts[0].trim().split(/\s+/);
  if (parts.length < 2 || parts.length > 3) throw new Error("write two numbers: x, y");
  const x = parseNumber(parts[0]);
  const y = parseNumber(parts[1]);
  if (parts.length === 2) return { x, y, zoom: undefined };
  const zoom = parseNumber(parts[2]);
  if (zoom < BigInt(minZoom) || zoom > BigInt(maxZoom)) throw new Error(`zoom goes from ${minZoom} to ${maxZoom}`);
  return { x, y, zoom: Number(zoom) };
}
