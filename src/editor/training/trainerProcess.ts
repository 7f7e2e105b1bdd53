import { constants, setPriority } from 'node:os';
import type * as vscode from 'vscode';
import type { DeviceChoice } from '../../contracts/engine.ts';
import type { TrainerContract } from '../../contracts/trainer.ts';
import { EngineProcess, trainerRole, type EngineProgram } from '../engine/engineProcess.ts';
import type { Trainer } from './trainingQueue.ts';

/** Forks a trainer for work on a device; the analysis of documents goes before it where they compete for processors. */
export function startTrainer(
  program: EngineProgram,
  log: vscode.LogOutputChannel,
  device: DeviceChoice,
): Trainer {
  const process = new EngineProcess<TrainerContract>(program, trainerRole, log, device);
  try {
    if (process.pid !== undefined)
      setPriority(process.pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch (error) {
    log.warn(`The trainer runs at ordinary priority: ${String(error)}`);
  }
  return {
    caller: process.caller,
    ready: process.shakeHands(),
    ended: process.ended,
    dispose: () => process.dispose(),
  };
}
