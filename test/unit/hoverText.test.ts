import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TokenReading } from '../../src/analysis/documentAnalysis.ts';
import { hoverCommands, hoverText, type HoverOptions } from '../../src/analysis/hoverText.ts';

const reading: TokenReading = {
  start: 0,
  end: 4,
  surprisal: Math.log(4),
  excluded: false,
  features: [
    { feature: 7, activation: 12.345 },
    { feature: 2, activation: 1 },
  ],
  error: { base: 12.31, boosted: 9.112 },
  predictions: [
    { text: ' the', probability: 0.5 },
    { text: '\n', probability: 0.001 },
  ],
};

const options: HoverOptions = {
  labels: {
    density: Float32Array.of(0, 0, 0.25, 0, 0, 0, 0, 0.0042),
    labels: ['', '', '', '', '', '', '', ' court · law'],
    convention: '',
  },
  pinned: undefined,
  saes: { hash: 'a', features: 10, domains: [] },
  kept: { k: 32, on: [] },
  document: 'file:///a%20b/law%20(1).md',
  features: 8,
  predictions: 2,
};

/** Feature 7 is then the domain's number 5. */
function withDomain(name: string): Pick<HoverOptions, 'saes' | 'kept'> {
  const domain = { name, hash: 'b', first: 2, features: 8 };
  return { saes: { hash: 'a', features: 2, domains: [domain] }, kept: { k: 32, on: [0] } };
}

const hostile = [
  '[click](command:workbench.action.terminal.new)',
  '<img src=x onerror=alert(1)>',
  '$(trash) `code` **bold** _it_ ~~no~~ # h | cell |',
  'https://example.org www.example.org a@b.c',
  '![x](https://example.org/x.png)',
  '\u202Eevil\u200B\n| a | b |\n|--|--|',
];

/** The text without the links that Loupe itself writes. */
function withoutOwnLinks(markdown: string): string {
  return markdown.replace(
    /\[(?:&#35;\d+|pin|unpin|next)\]\(command:loupe\.\w+(?:\?[\w%.~!*-]+)? "[^"]+"\)/g,
    '',
  );
}

describe('hoverText', () => {
  it('says feature, label, activation, density, SAE, surprisal and predictions', () => {
    const text = hoverText([{ reading, text: ' law' }], options);
    assert.match(text, /␣law/);
    assert.match(text, /surprisal 1\.39 nats \(p = 25 %\)/);
    const row = text.split('\n').find(line => line.includes('&#35;7]'));
    assert.ok(row);
    for (const part of [
      'court',
      'law',
      '12.3',
      '0.42 %',
      'base',
      'command:loupe.pinFeature?%5B7%5D',
    ]) {
      assert.ok(row.includes(part), `${part} is not in ${row}`);
    }
    assert.match(text, /Expected next: ␣the 50 % .* ↵ 0\.10 %/);
  });

  it('shows only as many features as asked for, and says how many it leaves', () => {
    const text = hoverText([{ reading, text: 'law' }], { ...options, features: 1, predictions: 0 });
    assert.match(text, /1 more at k = 32/);
    assert.doesNotMatch(text, /&#35;2\]|Expected next/);
  });

  it('offers to unpin the pinned feature', () => {
    const text = hoverText([{ reading, text: 'law' }], { ...options, pinned: 7 });
    assert.match(text, /command:loupe\.unpinFeature /);
    assert.doesNotMatch(text, /pinFeature\?%5B7%5D/);
  });

  it('shows no activations of a token that is left out', () => {
    const text = hoverText([{ reading: { ...reading, excluded: true }, text: 'law' }], options);
    assert.match(text, /Left out by the SAE’s token policy/);
    assert.doesNotMatch(text, /12\.3/);
  });

  it('says so where nothing fires and where nothing precedes', () => {
    const bare = { ...reading, features: [], surprisal: NaN };
    const text = hoverText([{ reading: bare, text: 'law' }], options);
    assert.match(text, /No feature fires at k = 32/);
    assert.match(text, /first token/);
  });

  it('gives the other tokens of the word a line each', () => {
    const text = hoverText(
      [
        { reading, text: 'law' },
        { reading, text: 'yer' },
      ],
      options,
    );
    assert.equal(text.split('| Feature |').length, 2);
    assert.match(text, /\*\*yer\*\*.*&#35;7/);
  });

  it('keeps hostile token text, labels and predictions from becoming Markdown', () => {
    for (const text of hostile) {
      const labels = { ...options.labels, labels: Array<string>(8).fill(text) };
      const predicted = { ...reading, predictions: [{ text, probability: 1 }] };
      const markdown = hoverText(
        [
          { reading: predicted, text },
          { reading, text },
        ],
        {
          ...options,
          ...withDomain(text),
          labels: { density: new Float32Array(8), convention: '', labels: labels.labels },
        },
      );
      const rest = withoutOwnLinks(markdown).replace(/&#\d+;/g, '');
      assert.doesNotMatch(rest, /[[\]<>`$#_~!@]|command:|https?:|www\.|\u202E|\u200B/);
      const table = markdown.split('\n').filter(line => line.startsWith('|'));
      assert.ok(
        table.every(line => line.split('|').length === 8),
        markdown,
      );
    }
  });

  it('marks features of a domain, numbers them within it, and says what it changes', () => {
    const other = { ...reading, features: [{ feature: 1, activation: 3 }, ...reading.features] };
    const chemistry = { ...options, ...withDomain('organic chemistry') };
    const text = hoverText([{ reading: other, text: 'law' }], chemistry);
    const rows = text.split('\n').filter(line => line.startsWith('| ['));
    assert.deepEqual(
      rows.map(row => row.split(' | ')[4]),
      ['base', '**&#43; organic chemistry**', '**&#43; organic chemistry**'],
    );
    assert.match(rows[1] ?? '', /^\| \[&#35;5\]\(command:loupe\.showFeature\?%5B7%5D /);
    assert.match(text, /error \|e\| 12\.3 → 9\.11 \(−26 %\) with organic chemistry/);
    assert.doesNotMatch(hoverText([{ reading, text: 'law' }], options), /error/);
  });

  it('sends the next token to be found in the document that was hovered over', () => {
    const text = hoverText([{ reading, text: 'law' }], options);
    const argument = /command:loupe\.revealNext\?(\S+) "/.exec(text)?.[1] ?? '';
    assert.deepEqual(JSON.parse(decodeURIComponent(argument)), [7, options.document]);
    assert.doesNotMatch(argument, /[()]/);
  });

  it('links to no command but those that the hover is trusted with', () => {
    const text = hoverText([{ reading, text: 'law' }], { ...options, pinned: 2 });
    const linked = [...text.matchAll(/command:([\w.]+)/g)].map(match => match[1] ?? '');
    assert.ok(linked.length >= 6);
    for (const command of linked)
      assert.ok(
        hoverCommands.some(name => name === command),
        command,
      );
  });
});
