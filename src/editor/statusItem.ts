import * as vscode from 'vscode';
import { DisposableStore } from '../common/disposable.ts';
import { formatBytes, formatPercent } from '../common/numbers.ts';
import { escapeMarkdown } from '../common/visibleText.ts';
import { deviceNames, type DeviceState } from '../contracts/devices.ts';
import type { ModelInfo } from '../contracts/engine.ts';
import type { ActiveDocument } from './document/activeDocument.ts';
import type { Analyzer } from './document/analyzer.ts';
import type { Engine, EngineState } from './engine/engine.ts';
import { failureText } from './presentFailure.ts';
import type { Session } from './session.ts';

interface Appearance {
  readonly text: string;
  readonly tooltip: string;
  readonly background?: vscode.ThemeColor;
}

/** The one status bar item: model and k, what is being done, or what is broken; a click opens Loupe's menu. */
export class StatusItem implements vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly item: vscode.StatusBarItem;
  private readonly engine: Engine;
  private readonly analyzer: Analyzer;
  private readonly active: ActiveDocument;
  private readonly session: Session;

  constructor(engine: Engine, analyzer: Analyzer, active: ActiveDocument, session: Session) {
    this.engine = engine;
    this.analyzer = analyzer;
    this.active = active;
    this.session = session;
    const { window, StatusBarAlignment } = vscode;
    this.item = window.createStatusBarItem('loupe.status', StatusBarAlignment.Right, 50);
    this.owned.register(this.item);
    this.item.name = 'Loupe';
    this.item.command = 'loupe.showMenu';
    const update = (): void => this.update();
    for (const { onDidChange } of [analyzer, active, session]) {
      this.owned.register(onDidChange(update));
    }
    this.owned.register(engine.onDidChangeState(update));
    this.owned.register(engine.onDidChangeDevice(update));
    this.update();
    this.item.show();
  }

  dispose(): void {
    this.owned.dispose();
  }

  private update(): void {
    const { text, tooltip, background } = this.appearance();
    this.item.text = text;
    this.item.accessibilityInformation = { label: text.replace(/\$\([^)]*\)/g, 'Loupe') };
    const markdown = new vscode.MarkdownString(tooltip);
    markdown.isTrusted = { enabledCommands: ['loupe.restartEngine', 'loupe.showLog'] };
    this.item.tooltip = markdown;
    this.item.backgroundColor = background;
  }

  private appearance(): Appearance {
    const { state } = this.engine;
    if (state.kind !== 'ready') return describeEngine(state);
    const { model, sae } = state.engine;
    const { k, domainsOn } = this.session;
    const document = this.active.current;
    const stage = document && this.analyzer.of(document)?.stage;
    const facts = [
      ...deviceFacts(model, this.engine.device),
      `SAE ${escapeMarkdown(sae.name)} at ${escapeMarkdown(sae.hook)}: ${sae.features} features`,
      ...domainsOn.map(({ name, features }) => `+ ${escapeMarkdown(name)}: ${features} features`),
      `k = ${k} of ${sae.maxK}`,
      ...(stage?.kind === 'failed' ? [escapeMarkdown(failureText(stage.failure))] : []),
    ];
    const isBusy = stage?.kind === 'running';
    const icon = isBusy ? '$(loading~spin)' : stage?.kind === 'failed' ? '$(warning)' : '$(search)';
    const progress = isBusy ? ` ${Math.round(100 * stage.fraction)} %` : '';
    return {
      text: `${icon} ${shortName(model.name)}${added(domainsOn)} · k ${k}${progress}`,
      tooltip: facts.join('\n\n'),
    };
  }
}

/** What the model runs on, in what, why on nothing else, and the memory that it takes. */
function deviceFacts(model: ModelInfo, device: DeviceState | undefined): string[] {
  const [name, note] = device
    ? [deviceNames[device.device], device.note]
    : [model.device, model.deviceNote];
  const memory = device && [device.weightBytes, device.residentBytes].map(formatBytes);
  return [
    `**${escapeMarkdown(model.name)}** on ${escapeMarkdown(name)}, ${escapeMarkdown(device?.precision ?? model.precision)}`,
    ...(note === undefined ? [] : [escapeMarkdown(note)]),
    ...(memory ? [`Memory: ${memory[0]} of weights, ${memory[1]} in all`] : []),
  ];
}

function describeEngine(state: Exclude<EngineState, { kind: 'ready' }>): Appearance {
  switch (state.kind) {
    case 'off':
      return { text: '$(search) Loupe', tooltip: 'Loupe: no model is loaded yet.' };
    case 'loading': {
      const progress = state.fraction === null ? '' : ` ${formatPercent(state.fraction)}`;
      return {
        text: `$(loading~spin) Loupe: ${state.step}${progress}`,
        tooltip: escapeMarkdown(state.step),
      };
    }
    case 'failed': {
      const links = '[Restart](command:loupe.restartEngine) · [Show Log](command:loupe.showLog)';
      return {
        text: '$(error) Loupe',
        tooltip: `${escapeMarkdown(failureText(state.failure))}\n\n${links}`,
        background: new vscode.ThemeColor('statusBarItem.errorBackground'),
      };
    }
  }
}

/** The domains that are on, as what they add. */
function added(domains: readonly { readonly name: string }[]): string {
  if (domains.length > 2) return ` + ${domains.length} domains`;
  return domains.map(({ name }) => ` + ${shortName(name)}`).join('');
}

/** A name short enough for the status bar. */
function shortName(name: string): string {
  return name.length > 24 ? `${name.slice(0, 23)}…` : name;
}
