import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import type { Call } from '../../src/contracts/call.ts';
import { createCaller, serve, type Caller } from '../../src/messages/calls.ts';
import { connect } from '../../src/messages/connection.ts';
import { inMemoryPorts } from '../fixtures/inMemory.ts';
import { acceptPages } from '../../src/messages/panel.ts';
import { pagePort } from '../../src/messages/session.ts';

interface Host {
  add: Call<{ readonly a: number; readonly b: number }, number>;
  never: Call<null, null>;
}

interface Page {
  show: Call<Uint32Array, number>;
  never: Call<null, null>;
}

/** A host with one webview, and a way to load the webview's page (again). */
function start() {
  const [hostEnd, pageEnd] = inMemoryPorts();
  const pages: Caller<Page>[] = [];
  const accepted = acceptPages(hostEnd, connection => {
    pages.push(createCaller<Page>(connection));
    serve<Host>(connection, {
      add: ({ a, b }) => a + b,
      never: () => new Promise(() => undefined),
    });
  });
  const load = (): Caller<Host> => {
    const connection = connect(
      pagePort({ ...pageEnd, post: message => void pageEnd.post(message) }),
    );
    serve<Page>(connection, {
      show: values => values.reduce((sum, value) => sum + value, 0),
      never: () => new Promise(() => undefined),
    });
    return createCaller<Host>(connection);
  };
  return { accepted, hostEnd, pages, load };
}

function page(pages: readonly Caller<Page>[], index: number): Caller<Page> {
  const found = pages[index];
  assert.ok(found, `page ${index} was never accepted`);
  return found;
}

const stopped = (error: unknown): boolean => Failure.is(error, 'stopped');

describe('messages of a webview', () => {
  it('go both ways', async () => {
    const { pages, load } = start();
    assert.equal(await load().call('add', { a: 2, b: 3 }), 5);
    assert.equal(await page(pages, 0).call('show', Uint32Array.of(1, 2, 4)), 7);
  });

  it('start anew with every load of the page: calls to the page before settle as stopped', async () => {
    const { pages, load } = start();
    await load().call('add', { a: 1, b: 1 });
    const settled = assert.rejects(page(pages, 0).call('never', null), stopped);
    assert.equal(await load().call('add', { a: 2, b: 2 }), 4);
    await settled;
    await assert.rejects(page(pages, 0).call('show', Uint32Array.of(1)), stopped);
    assert.equal(await page(pages, 1).call('show', Uint32Array.of(1)), 1);
    assert.equal(pages.length, 2);
  });

  it('do not answer a page with the answer to an earlier one', async () => {
    const { load } = start();
    void load()
      .call('never', null)
      .catch(() => undefined);
    assert.equal(await load().call('add', { a: 1, b: 2 }), 3);
  });

  it('ignore what is no message of ours', async () => {
    const { hostEnd, load } = start();
    for (const junk of [null, 7, 'x', {}, { session: 3, message: 1 }]) void hostEnd.post(junk);
    assert.equal(await load().call('add', { a: 1, b: 2 }), 3);
  });

  it('end with the view', async () => {
    const { hostEnd, pages, load } = start();
    await load().call('add', { a: 1, b: 1 });
    const pending = page(pages, 0).call('never', null);
    hostEnd.close();
    await assert.rejects(pending, stopped);
  });
});
