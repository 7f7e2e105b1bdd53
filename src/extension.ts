import * as vscode from 'vscode';
import type { DeviceState } from './contracts/devices.ts';
import type { DeviceChoice } from './contracts/engine.ts';
import { ActiveDocument } from './editor/document/activeDocument.ts';
import { Analyzer } from './editor/document/analyzer.ts';
import { registerCommands } from './editor/commands.ts';
import { DocumentCodeLens } from './editor/document/documentCodeLens.ts';
import { engineEnvironment, useOwnLibraries } from './editor/engine/cudaRuntime.ts';
import { knownDomains } from './editor/domains/domains.ts';
import { domainSwitches } from './editor/domains/domainSwitches.ts';
import { Engine } from './editor/engine/engine.ts';
import { FeatureHover } from './editor/document/featureHover.ts';
import { followSettings } from './editor/followSettings.ts';
import { listFittedRouters, routerFolders } from './editor/layerMaps/fittedRouters.ts';
import { FeaturePanels } from './editor/panels/featurePanel.ts';
import { LayerMapPanel, registerLayerMapCommand } from './editor/layerMaps/layerMapPanel.ts';
import { LayerMaps } from './editor/layerMaps/layerMaps.ts';
import { leftDevice } from './editor/engine/leftDevice.ts';
import {
  presentDeviceLeft,
  presentFailure,
  presentRefused,
  presentRestart,
} from './editor/presentFailure.ts';
import { RouteTints } from './editor/layerMaps/routeTints.ts';
import { engineSelection, selectedFiles } from './editor/selection.ts';
import { SaeCardEditors } from './editor/panels/saeCardEditor.ts';
import { Session } from './editor/session.ts';
import { SidebarViewProvider } from './editor/panels/sidebarView.ts';
import { StatusItem } from './editor/statusItem.ts';
import { TokenDecorations } from './editor/document/tokenDecorations.ts';
import { newlyRefused } from './editor/domains/toldDomains.ts';
import { Training } from './editor/training/training.ts';
import { registerTrainingCommands } from './editor/training/trainingCommands.ts';
import { TrainingPanel } from './editor/training/trainingPanel.ts';
import { TrainingStatus } from './editor/training/trainingStatus.ts';

/** Builds Loupe's parts and wires them; the engine starts when it is first needed. */
export function activate(context: vscode.ExtensionContext): void {
  const own = <T extends vscode.Disposable>(part: T): T => {
    context.subscriptions.push(part);
    return part;
  };
  const log = own(vscode.window.createOutputChannel('Loupe', { log: true }));
  const program = {
    path: vscode.Uri.joinPath(context.extensionUri, 'dist', 'engine.js').fsPath,
    environment: (device?: DeviceChoice) => engineEnvironment(context, device),
  };
  const domains = own(knownDomains(context));
  const engine = own(new Engine(program, () => engineSelection(context, domains), log));
  const session = own(new Session(context.workspaceState));
  // Before what draws: it draws what the session takes from the engine.
  own(engine.onDidChangeState(() => engineChanged(engine, session, context.workspaceState)));
  const active = own(new ActiveDocument());
  const analyzer = own(new Analyzer(engine));
  const sources = { engine, session, active, analyzer };
  const panels = own(new FeaturePanels(context.extensionUri, sources));
  const routeTints = own(new RouteTints());
  own(new TokenDecorations(analyzer, session, routeTints));
  own(new FeatureHover(analyzer, engine, session));
  own(new DocumentCodeLens(analyzer, engine, session));
  own(new SidebarViewProvider(context.extensionUri, sources));
  own(new StatusItem(engine, analyzer, active, session));
  const training = own(new Training(context, program, domainSwitches(domains, session), log));
  own(registerCommands({ ...sources, panels, domains, training, log, context }));
  own(new SaeCardEditors(context.extensionUri, { engine, context }));
  own(new TrainingStatus(training));
  const trainingPanel = own(new TrainingPanel(context.extensionUri, training));
  own(registerTrainingCommands({ training, panel: trainingPanel }));
  const layerMaps = own(
    new LayerMaps(
      {
        connect: () => engine.connect(),
        model: () => selectedFiles(context).model,
        routers: () => listFittedRouters(routerFolders(context)),
      },
      active,
      routeTints,
    ),
  );
  const layerMapPanel = own(new LayerMapPanel(context.extensionUri, layerMaps));
  own(registerLayerMapCommand(layerMaps, layerMapPanel));
  own(engine.onDidStop(() => layerMaps.engineStopped()));
  own(engine.onDidRestart(() => layerMaps.engineRestarted()));
  const librariesChosen = (): void => void useOwnLibraries(context, engine, 'chosen');
  own(followSettings({ engine, layerMaps, librariesChosen }));
  void useOwnLibraries(context, engine, 'at start');
  own(engine.onDidChangeDevice(before => deviceChanged(engine, before)));
  own(domains.onDidChange(() => engine.reload()));
  own(
    engine.onDidStop(({ reason, restarting, insteadOfDevice }) => {
      if (restarting && insteadOfDevice !== undefined) presentDeviceLeft(insteadOfDevice);
      else if (restarting) {
        presentRestart(reason, engine.state.kind === 'off' ? 'when needed' : 'now');
      }
    }),
  );
  own(analyzer.onDidChange(() => setContext(analyzer, active.current)));
  own(active.onDidChange(() => setContext(analyzer, active.current)));
}

/** Tells of a device that failed while it was in use. */
function deviceChanged({ device }: Engine, before: DeviceState | undefined): void {
  const note = leftDevice(before, device);
  if (note !== undefined) presentDeviceLeft(note);
}

function engineChanged({ state }: Engine, session: Session, memory: vscode.Memento): void {
  if (state.kind === 'ready') {
    session.use(state.engine.sae);
    presentRefused(newlyRefused(memory, state.engine.sae));
  }
  if (state.kind === 'failed') presentFailure(state.failure, state.stage);
}

/** Lets keybindings and menus ask whether the active document is analysed. */
function setContext(analyzer: Analyzer, document: vscode.TextDocument | undefined): void {
  const analyzed = document !== undefined && analyzer.of(document) !== undefined;
  void vscode.commands.executeCommand('setContext', 'loupe.analyzed', analyzed);
}
