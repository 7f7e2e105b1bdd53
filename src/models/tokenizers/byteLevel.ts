/**
 * The printable characters by which byte-level vocabularies spell the 256 bytes, by byte.
 * Source: Radford et al. 2019 (GPT-2), encoder.py, bytes_to_unicode.
 */
const spellings: readonly string[] = (() => {
  const printable = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(printable(byte) ? byte : next++),
  );
})();

const bytesBySpelling: ReadonlyMap<string, number> = new Map(
  spellings.map((spelling, byte) => [spelling, byte]),
);

/** The bytes that a byte-level token stands for; undefined where it holds a character that spells none. */
export function spelledBytes(token: string): Uint8Array | undefined {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = bytesBySpelling.get(token.charAt(i));
    if (byte === undefined) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}

/** How a byte-level vocabulary spells one byte. */
export function spellingOf(byte: number): string {
  return spellings[byte] ?? '';
}

/** Text for people: whole UTF-8 characters as they are, every other byte as \xNN. */
export function legible(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes[at] ?? 0);
    const character = decodeStrictly(bytes.subarray(at, at + length));
    text += character ?? `\\x${(bytes[at] ?? 0).toString(16).toUpperCase().padStart(2, '0')}`;
    at += character === undefined ? 1 : length;
  }
  return text;
}

function sequenceLength(lead: number): number {
  if (lead < 0xc0) return 1;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeStrictly(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}
