import { setTimeout as sleep } from 'node:timers/promises';
import type { Contract } from '../../src/contracts/call.ts';
import type {
  DocumentState,
  FeatureHost,
  FeatureState,
  SidebarHost,
  SidebarState,
} from '../../src/contracts/panels.ts';
import type { Handlers } from '../../src/messages/calls.ts';

/** A call that the webview made. */
export type Called = readonly [method: string, input: unknown];

/** An extension host that writes down what it is asked and answers with the state it is given. */
export interface FakeHost<H extends Contract<H>, State> {
  state: State;
  readonly calls: Called[];
  readonly handlers: Handlers<H>;
  /** The inputs of the calls of one method, in order. */
  inputs(method: string): unknown[];
}

export function fakeSidebarHost(state: SidebarState): FakeHost<SidebarHost, SidebarState> {
  const calls: Called[] = [];
  const note =
    (method: string) =>
    (input: unknown): null => {
      calls.push([method, input]);
      return null;
    };
  const host = {
    state,
    calls,
    inputs: (method: string) => inputsOf(calls, method),
    handlers: {
      ready: () => host.state,
      setK: note('setK'),
      setQuery: note('setQuery'),
      pin: note('pin'),
      openFeature: note('openFeature'),
      revealNext: note('revealNext'),
      setDomain: note('setDomain'),
      setCompare: note('setCompare'),
      run: note('run'),
    },
  };
  return host;
}

export function fakeFeatureHost(state: FeatureState): FakeHost<FeatureHost, FeatureState> {
  const calls: Called[] = [];
  const host = {
    state,
    calls,
    inputs: (method: string) => inputsOf(calls, method),
    handlers: {
      ready: () => host.state,
      go: (input: unknown) => {
        calls.push(['go', input]);
        return null;
      },
      pin: (input: unknown) => {
        calls.push(['pin', input]);
        return null;
      },
      reveal: (input: unknown) => {
        calls.push(['reveal', input]);
        return null;
      },
    },
  };
  return host;
}

/** The document of a state that has one. */
export function documentOf(state: SidebarState): DocumentState {
  if (state.kind !== 'analyzed') throw new Error(`no document in the state '${state.kind}'`);
  return state.document;
}

/** Runs `check` until it passes; its last failure is the test's where it never does. */
export async function eventually(check: () => void | Promise<void>): Promise<void> {
  for (let attempt = 1; attempt < 100; attempt++) {
    try {
      await check();
      return;
    } catch {
      await sleep(50);
    }
  }
  await check();
}

function inputsOf(calls: readonly Called[], method: string): unknown[] {
  return calls.filter(([called]) => called === method).map(([, input]) => input);
}
