import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { corpusWarnings } from '../../../src/training/corpus/corpusWarnings.ts';
import { boostPlan } from '../../webview/trainingStates.ts';

const results = readFileSync(new URL('../../../docs/results/boost.md', import.meta.url), 'utf8');

/** The relative change of general EV in a table of docs/results/boost.md, in its own words but for the sign. */
function generalLoss(domain: string, method: string): string | undefined {
  const table = results.split(`\n### ${domain}\n`)[1]?.split('\n#')[0]?.split('\n') ?? [];
  const cells = (line: string): string[] => line.split('|').map(cell => cell.trim());
  const heads = cells(table.find(line => line.includes('general EV')) ?? '');
  const row = table.map(cells).find(([, name]) => name === method);
  return row?.[heads.indexOf('general EV') + 1]?.replace(/^-(.*) %$/, '$1');
}

describe('corpusWarnings', () => {
  it('quotes for a small budget what docs/results/boost.md measured', () => {
    const warning = corpusWarnings(boostPlan.corpus).find(({ code }) => code === 'small-budget');
    const domains = ['chemistry', 'speeches', 'russian'];
    const [a, b, c] = domains.map(domain => generalLoss(domain, 'Boost'));
    assert.ok(warning);
    assert.ok(warning.message.includes(`cost ${a}, ${b} and ${c} % of general`), warning.message);
    for (const domain of domains) {
      const remedy = generalLoss(domain, 'Boost, calibrated');
      assert.ok(warning.message.endsWith(`a remedy that cost ${remedy} %.`), domain);
    }
  });
});
