import * as vscode from 'vscode';
import type { Failure } from '../common/failure.ts';
import type { SaeInfo } from '../contracts/engine.ts';
import type { EngineFailure } from './engine/engine.ts';

/** What a failure concerns; it decides which ways out are offered. */
export type FailureSubject = EngineFailure['stage'] | 'document' | 'trainer';

interface WayOut {
  readonly label: string;
  readonly command: string;
}

const showLog: WayOut = { label: 'Show Log', command: 'loupe.showLog' };

/** The ways out of a failure, the best first. */
const waysOut: Record<FailureSubject, readonly WayOut[]> = {
  process: [{ label: 'Restart', command: 'loupe.restartEngine' }, showLog],
  model: [{ label: 'Choose Model', command: 'loupe.chooseModel' }, showLog],
  sae: [{ label: 'Choose SAE', command: 'loupe.chooseSae' }, showLog],
  document: [showLog],
  trainer: [showLog],
};

const presented = new WeakSet<Failure>();

/** Tells the user of a failure, once however many callers met it; a cancellation is none. */
export function presentFailure(failure: Failure, subject: FailureSubject): void {
  // Where a call met the end of the engine's process, that end is told by itself; of a trainer's nobody else tells.
  const isEngine = subject !== 'process' && subject !== 'trainer';
  const isTold = failure.code === 'cancelled' || (failure.code === 'stopped' && isEngine);
  if (isTold || presented.has(failure)) return;
  presented.add(failure);
  const text = `Loupe: ${failureText(failure)}`;
  const isWork = subject === 'document' || subject === 'trainer';
  const isRemark = isWork && remarks.has(failure.code);
  if (isRemark) void vscode.window.showInformationMessage(text);
  else void offer(waysOut[subject], labels => vscode.window.showErrorMessage(text, ...labels));
}

/** Tells that the engine ended by itself and is being started again, or is once it is needed. */
export function presentRestart(reason: string, when: 'now' | 'when needed'): void {
  const again = when === 'now' ? 'is being started again' : 'is started again when it is needed';
  const text = `Loupe: the engine stopped (${reason}) and ${again}.`;
  void offer([showLog], labels => vscode.window.showWarningMessage(text, ...labels));
}

/** Tells that the device that was in use failed: all else goes on on the CPU. */
export function presentDeviceLeft(note: string): void {
  const text = `Loupe: ${note}`;
  void offer([showLog], labels => vscode.window.showWarningMessage(text, ...labels));
}

/** Tells of domains that cannot be used with the SAE: all else works without them. */
export function presentRefused(refused: SaeInfo['refused']): void {
  for (const { message } of refused) {
    const ways = [{ label: 'Choose Domains', command: 'loupe.chooseDomains' }, showLog];
    const text = `Loupe: ${message}`;
    void offer(ways, labels => vscode.window.showWarningMessage(text, ...labels));
  }
}

/** The failure's sentence and what to do about it. */
export function failureText({ message, action }: Failure): string {
  return action === undefined ? message : `${message} ${action}`;
}

/** Nothing is broken: the document is just not one to analyse. */
const remarks = new Set<Failure['code']>(['empty', 'unsupported', 'not-found', 'too-large']);

async function offer(
  ways: readonly WayOut[],
  show: (labels: readonly string[]) => Thenable<string | undefined>,
): Promise<void> {
  const chosen = await show(ways.map(way => way.label));
  const way = ways.find(({ label }) => label === chosen);
  if (way) await vscode.commands.executeCommand(way.command);
}
