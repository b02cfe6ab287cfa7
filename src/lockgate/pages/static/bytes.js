// UTF-8 lengths of JavaScript strings. The wire counts bytes; strings here are counted in UTF-16 units.

/**
 * Bytes that one UTF-16 unit takes part in. Each half of a surrogate pair counts two of the pair's four, so that a
 * text may be counted in pieces that cut a pair.
 *
 * @param {number} unit
 */
const bytesOfUnit = (unit) => (unit < 0x80 ? 1 : unit < 0x800 || (unit & 0xf800) === 0xd800 ? 2 : 3);

/**
 * Length of a text in UTF-8.
 *
 * @param {string} text
 */
export function byteLength(text) {
  let bytes = 0;
  for (let i = 0; i < text.length; i++) bytes += bytesOfUnit(text.charCodeAt(i));
  return bytes;
}

/**
 * Index of the first character that does not end within `bytes`: where the text is cut so that the left part holds
 * at most that many bytes and no character is torn.
 *
 * @param {string} text
 * @param {number} bytes
 */
export function indexOfByte(text, bytes) {
  let index = 0;
  let seen = 0;
  while (index < text.length) {
    const width = characterAt(text, index).length;
    seen += width === 2 ? 4 : bytesOfUnit(text.charCodeAt(index));
    if (seen > bytes) break;
    index += width;
  }
  return index;
}

/**
 * The whole character at an index, `""` past the end.
 *
 * @param {string} text
 * @param {number} index
 */
export function characterAt(text, index) {
  const point = text.codePointAt(index);
  return point === undefined ? "" : String.fromCodePoint(point);
}

/**
 * A count for people: `20,431`.
 *
 * @param {number} count
 */
export const grouped = (count) => count.toLocaleString("en-US");
