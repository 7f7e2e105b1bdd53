import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatChange, formatDecimal, formatDuration } from '../../src/common/numbers.ts';
import { boostReportText } from '../../src/report/boostReportText.ts';
import { headline, measureRows } from '../../src/report/measureRows.ts';
import { boostReport } from '../fixtures/boostReport.ts';

const report = boostReport();
const text = boostReportText(report);

/** The cells of the first table row that starts with `name`. */
function row(name: string, within = text): readonly string[] {
  const line = within.split('\n').find(candidate => candidate.startsWith(`| ${name} |`));
  assert.ok(line !== undefined, `no row ${name}`);
  return line
    .split('|')
    .slice(2, -1)
    .map(cell => cell.trim());
}

describe('the report as Markdown', () => {
  it('compares base and boosted on domain and general text', () => {
    assert.deepEqual(row('EV'), ['0.780', '0.840', '+7.7 %', '0.857', '0.856', '−0.12 %']);
    // ΔCE: 3.10 - 2.91 and 3.02 - 2.91
    assert.deepEqual(row('ΔCE').slice(0, 3), ['0.190', '0.110', '−42 %']);
    assert.deepEqual(row('CE').slice(0, 2), ['3.100', '3.020']);
    assert.deepEqual(row('CE, clean').slice(0, 2), ['2.910', '2.910']);
    assert.deepEqual(row('CE, zero').slice(0, 2), ['14.900', '14.900']);
    assert.deepEqual(row('L0').slice(0, 2), ['31.4', '36.3']);
    assert.deepEqual(row('of it residual'), ['', '4.9', '', '', '0.21', '']);
  });

  it('has a section per variant, and one row per subset in each', () => {
    for (const title of ['Plain', 'Calibrated', 'Mixed'])
      assert.match(text, new RegExp(`^## ${title}`, 'm'));
    assert.equal(text.match(/^### Subsets of domains$/gm)?.length, 3);
    assert.deepEqual(row('chemistry + russian').slice(0, 3), ['0.840', '0.110', '5.0']);
  });

  it('is made of tables whose rows are as long as their heads', () => {
    const tables = text.split('\n\n').filter(block => block.startsWith('|'));
    assert.equal(tables.length, 8);
    for (const table of tables) {
      const widths = new Set(table.split('\n').map(line => line.split('|').length));
      assert.equal(widths.size, 1, table);
    }
  });

  it('lists features with examples, places and the nearest features of the base', () => {
    const cells = row('#14');
    assert.match(cells[1] ?? '', /3\.1 % of domain tokens, 0\.09 % of general ones/);
    assert.match(cells[2] ?? '', /#4021 .*\(cosine 0\.41\); #77 .*; #6660/);
    assert.match(text, /- 46\.0 the alcohol is \*\*oxid\*\*ised to .*lecture-1\.md, 120\)/);
    assert.match(text, /\| 61\.2 \| 18\.4 \| .*\*\*SN\*\*2 .*lecture-3\.md, 4211 \|/);
  });

  it('takes text of files for text', () => {
    const bad = '| <img src=x> [a](command:b) `c` *d*\n# e';
    const made = boostReportText(boostReport({ name: bad, model: bad, convention: bad }));
    assert.doesNotMatch(made, /(?<!\\)(?:<img|\[a|`c`|\*d|# e)/);
    assert.doesNotMatch(text, /(?<!\\)<b/);
  });

  it('says so where nothing fires', () => {
    const empty = boostReportText(boostReport({ features: [], improved: [] }));
    assert.match(empty, /None fires on the held-out domain text/);
    assert.doesNotMatch(empty, /error shrank/);
  });
});

describe('the rows of a variant', () => {
  it('judge a change by its direction, and a small one not at all', () => {
    const [plain] = report.variants;
    assert.ok(plain);
    const [ev, deltaCe] = measureRows(plain);
    assert.equal(ev?.domain.better, true);
    assert.equal(ev.general.better, null, 'below the 1 % that the paper counts as none');
    assert.equal(deltaCe?.domain.better, true);
    const worse = { ...plain, general: { ...plain.general, evChange: -0.02 } };
    assert.equal(measureRows(worse)[0]?.general.better, false);
    assert.equal(
      headline('chemistry', plain),
      'EV on held-out chemistry text 0.780 → 0.840 (+7.7 %), on general text 0.857 → 0.856 (−0.12 %).',
    );
  });
});

describe('numbers of the report', () => {
  it('have a true minus, no negative zero, and a dash where unknown', () => {
    assert.equal(formatDecimal(-0.5), '−0.500');
    assert.equal(formatDecimal(-0.0001), '0.000');
    assert.equal(formatDecimal(NaN), '–');
    assert.equal(formatChange(-0.42), '−42 %');
    assert.equal(formatChange(0.00001), '0.00 %');
    assert.equal(formatChange(Infinity), '–');
  });

  it('tell durations in the unit that a person would use', () => {
    const told = [0, 42, 59.7, 725, 3_600, 4_800, NaN].map(formatDuration);
    assert.deepEqual(told, ['1 s', '42 s', '1 min', '12 min', '1 h', '1 h 20 min', '–']);
  });
});
