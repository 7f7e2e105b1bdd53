import { readFile } from 'node:fs/promises';
import { Parser } from 'htmlparser2';
import { compression, decode, unpack } from '../corpusFiles.ts';
import type { CorpusDocument } from './document.ts';

/** What a reader of the page sees: no markup, scripts or styles. */
export async function* extractHtml(path: string): AsyncGenerator<CorpusDocument> {
  const bytes = compression(path) === undefined ? await readFile(path) : await unpack(path);
  const text = htmlText(decode(bytes, path));
  yield { text, source: path, path, verbatim: false, start: 0 };
}

/** Elements whose content is not read. */
const unread = new Set('script style noscript template svg math iframe object select'.split(' '));
/** Elements that stand on lines of their own; between paragraphs of text there is an empty line. */
const blocks = new Set(
  'address article aside blockquote dd details dialog div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section summary table title tr ul'.split(
    ' ',
  ),
);
const paragraphs = new Set('p pre blockquote h1 h2 h3 h4 h5 h6 table ul ol dl title'.split(' '));

/** The text of HTML, entities decoded, white space as a browser shows it. */
export function htmlText(html: string): string {
  const parts: string[] = [];
  let line = '';
  let gap = ''; // line breaks that stand between what is in `parts` and `line`
  let hidden = 0; // depth in elements that are not read
  let preformatted = 0; // depth in <pre>
  const endLine = (wanted: string): void => {
    const done = line.trimEnd();
    line = '';
    if (done !== '') {
      parts.push(gap, done);
      gap = '';
    }
    if (wanted.length > gap.length && parts.length > 0) gap = wanted;
  };
  const border = (name: string): void => {
    if (blocks.has(name)) endLine(paragraphs.has(name) ? '\n\n' : '\n');
  };
  const parser = new Parser({
    onopentag(name) {
      border(name);
      if (unread.has(name)) hidden++;
      else if (name === 'pre') preformatted++;
      else if (name === 'br') endLine('\n');
      else if ((name === 'td' || name === 'th') && line !== '') line += ' ';
    },
    ontext(data) {
      if (hidden > 0) return;
      if (preformatted > 0) {
        line += data;
        return;
      }
      const spaced = data.replace(/[ \t\n\f\r]+/g, ' ');
      line += line === '' || line.endsWith(' ') ? spaced.replace(/^ /, '') : spaced;
    },
    onclosetag(name) {
      if (unread.has(name)) hidden--;
      else if (name === 'pre') preformatted--;
      border(name);
    },
  });
  parser.end(html);
  endLine('');
  return parts.join('').trim();
}
