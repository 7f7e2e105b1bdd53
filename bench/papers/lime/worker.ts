// A process of main.ts that trains the cells that it is sent, with the options of main.ts.
import type { Cell } from './cell.ts';
import { experimentOf } from './options.ts';
import { openTexts } from './text.ts';
import { trainCell } from './training.ts';

const interrupt = new AbortController();
process.once('SIGINT', () => interrupt.abort(new Error('Interrupted.')));
process.once('SIGTERM', () => interrupt.abort(new Error('Interrupted.')));
process.once('disconnect', () => interrupt.abort(new Error('The experiment ended.')));

const { signal } = interrupt;
const { out, settings, textRequest, threads } = experimentOf(process.argv.slice(2));
const log = (line: string): void => console.error(new Date().toISOString().slice(11, 19), line);
const texts = await openTexts({ ...textRequest, signal, log });

async function train(cell: Cell): Promise<void> {
  const name = `${cell.arm}.${cell.seed}`;
  const options = { out, settings, texts, threads, signal };
  try {
    const { ce } = await trainCell(cell, { ...options, log: line => log(`${name} ${line}`) });
    log(`${name} trained: ${ce.toFixed(4)} nats`);
    process.send?.(name);
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
}

process.on('message', message => void train(message as Cell));
