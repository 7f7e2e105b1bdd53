// Recognises, by what stands in them, texts that anyone may pass on; what is not surely one of these is left out.

/** A source of general text: its name, and what of a document is taken, if the document is of this source. */
export interface GeneralTextSource {
  readonly name: string;
  take(text: string): string | undefined;
}

export const generalTextSources: readonly GeneralTextSource[] = [
  { name: 'webster1913', take: takeWebster },
  { name: 'wordnet', take: text => (isWordnet(text) ? text : undefined) },
  { name: 'austen', take: text => (isAusten(text) ? text : undefined) },
  { name: 'mobyDick', take: text => (isMobyDick(text) ? text : undefined) },
  { name: 'matthewHenry', take: text => (isMatthewHenry(text) ? text : undefined) },
  { name: 'aws', take: text => (isAws(text) ? text : undefined) },
  { name: 'rust', take: text => (isRust(text) ? text : undefined) },
];

/** The paragraphs that the dictionary marks as Webster's of 1913 and as nothing later, where that is most of a text. */
function takeWebster(text: string): string | undefined {
  const later = /PJC|WordNet|Century|RDH|\[AS\b|\+ ?AS\]|\[RP|Dict\./;
  const kept = paragraphs(text)
    .filter(paragraph => paragraph.trimEnd().endsWith('[1913 Webster]') && !later.test(paragraph))
    .join('\n\n');
  return kept.length > 1000 && kept.length > 0.6 * text.length ? kept : undefined;
}

/** Glosses: short, in lower case, without a full stop, with examples in quotation marks. */
function isWordnet(text: string): boolean {
  const glosses = paragraphs(text);
  if (glosses.length < 10 || text.includes('[1913') || text.includes('pub ')) return false;
  const lower = glosses.filter(gloss => /^\(?[a-z]/.test(gloss)).length;
  const sentences = glosses.filter(gloss => gloss.trimEnd().endsWith('.')).length;
  return (
    lower >= 0.85 * glosses.length &&
    sentences <= 0.05 * glosses.length &&
    matches(text, /; "/g).length >= 2 &&
    glosses.every(({ length }) => length < 900)
  );
}

/** Names of one novel each: at least two of them, three times. */
const austenNames = [
  'Knightley|Woodhouse|Weston|Elton|Fairfax|Hartfield|Highbury|Randalls',
  'Elinor|Marianne|Dashwood|Willoughby|Brandon|Jennings|Ferrars|Middleton|Steele',
  'Bennet|Darcy|Bingley|Wickham|Longbourn|Netherfield|Pemberley|Lizzy|Gardiner',
  'Crawford|Bertram|Norris|Fanny|Mansfield|Rushworth|Grant|Yates',
  'Wentworth|Musgrove|Anne|Kellynch|Uppercross|Elliot|Russell|Harville',
  'Tilney|Thorpe|Catherine|Northanger|Isabella|Morland|Allen',
].map(names => new RegExp(`\\b(?:${names})\\b`, 'g'));

function isAusten(text: string): boolean {
  if (isModern(text) || isWordnet(text)) return false;
  return austenNames.some(names => {
    const found = matches(text, names);
    return found.length >= 3 && new Set(found).size >= 2;
  });
}

function isMobyDick(text: string): boolean {
  const own =
    /\b(?:Queequeg|Starbuck|Stubb|Pequod|Daggoo|Tashtego|Peleg|Moby Dick|Sperm Whale|harpooneers?|whalemen)\b/g;
  const any = /\b(?:Ahab|Flask|Ishmael|Bildad|sperm whale|Nantucket)\b/g;
  const found = matches(text, own);
  const all = [...found, ...matches(text, any)];
  return !isModern(text) && found.length >= 1 && all.length >= 3 && new Set(all).size >= 2;
}

/** The concise commentary goes by "Verses 3-8" and quotes no other commentator and no Hebrew or Greek. */
function isMatthewHenry(text: string): boolean {
  return (
    !isModern(text) &&
    /(?:^|[.?!;:"] )Verses \d+(?:[-,]\d+)? [A-Z]/.test(text) &&
    !/\b(?:Calvin|Spurgeon|Ver\.|Heb\.|Gr\.)/.test(text)
  );
}

/** Descriptions in the service models of botocore. */
function isAws(text: string): boolean {
  return (
    matches(text, /\b(?:Amazon|AWS|ARN)\b/g).length >= 3 &&
    !/\bDebian\b|pub fn|\[1913|GNU|Rust\b/.test(text)
  );
}

/** rustdoc's pages of the standard library, and the numbered listings of the Rust book. */
function isRust(text: string): boolean {
  if (/\bIntel\b|_mm|[Ee]mbedded/.test(text)) return false;
  if (matches(text, /pub unsafe (?:fn|extern)/g).length > 3) return false; // lists of intrinsics
  const page =
    /pub (?:const |unsafe )*fn |source impl|nightly-only experimental API|Expand description|(?:Auto Trait|Blanket) Implementations/g;
  const book = /\bListing \d+-\d+/.test(text) && /\b(?:Rust|cargo|trait|ownership)\b/.test(text);
  return book || matches(text, page).length >= 2;
}

/** Signs of a text that is not from a book of the nineteenth century. */
function isModern(text: string): boolean {
  return /https?:|www\.|\b(?:19[2-9]\d|20\d\d)\b|[{}<>|\\=]|\b(?:software|computer|Debian|GNU|command)\b|\[1913/.test(
    text,
  );
}

function paragraphs(text: string): string[] {
  return text.split('\n\n').filter(paragraph => paragraph.trim() !== '');
}

function matches(text: string, pattern: RegExp): string[] {
  return text.match(pattern) ?? [];
}
