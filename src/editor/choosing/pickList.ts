import * as vscode from 'vscode';

/** A line of a list: something to take, or a reason why it cannot be taken. */
export interface Line<T> extends vscode.QuickPickItem {
  readonly value?: T;
  /** Said when it is chosen; the list stays open. */
  readonly refusal?: string;
}

/** Lines under a heading; none: the heading is left out. */
export interface Section<T> {
  readonly title: string;
  readonly lines: readonly Line<T>[];
}

/** A list that is open and may still grow. */
export interface OpenList<T> {
  /** Shows these in place of what was there; the line that was active stays so. */
  show(sections: readonly Section<T>[]): void;
  /** What the user has typed. */
  readonly onDidType: vscode.Event<string>;
  say(placeholder: string): void;
  busy(isBusy: boolean): void;
}

export interface ListOptions<T> {
  readonly title: string;
  readonly placeholder: string;
  /** Whether the lines are filtered by what is typed; else all are always shown. */
  readonly filter?: boolean;
  /** Fills the list; `signal` aborts when it closes. What it throws closes the list and is thrown on. */
  readonly fill: (list: OpenList<T>, signal: AbortSignal) => Promise<void>;
}

/** Shows a list while it fills; resolves to what was chosen, or undefined where it was closed. */
export function pickFrom<T>({ title, placeholder, filter = true, fill }: ListOptions<T>) {
  const pick = vscode.window.createQuickPick<Line<T>>();
  Object.assign(pick, { title, placeholder, busy: true });
  pick.matchOnDescription = pick.matchOnDetail = filter;
  const closed = new AbortController();
  const list: OpenList<T> = {
    show: sections => {
      const active = keyOf(pick.activeItems[0]);
      pick.items = sections.flatMap(section => linesOf(section, filter));
      const again = pick.items.find(line => keyOf(line) === active);
      if (again && active !== undefined) pick.activeItems = [again];
    },
    onDidType: pick.onDidChangeValue,
    say: text => (pick.placeholder = text),
    busy: isBusy => (pick.busy = isBusy),
  };
  return new Promise<T | undefined>((resolve, reject) => {
    pick.onDidAccept(() => {
      const [line] = pick.selectedItems;
      if (line?.refusal !== undefined) void vscode.window.showWarningMessage(line.refusal);
      else if (line?.value !== undefined) {
        resolve(line.value);
        pick.hide();
      }
    });
    pick.onDidHide(() => {
      closed.abort();
      resolve(undefined);
      pick.dispose();
    });
    pick.show();
    fill(list, closed.signal).then(
      () => closed.signal.aborted || (pick.busy = false),
      (error: unknown) => {
        if (closed.signal.aborted) return;
        reject(error instanceof Error ? error : new Error(String(error)));
        pick.hide();
      },
    );
  });
}

function linesOf<T>({ title, lines }: Section<T>, filter: boolean): Line<T>[] {
  if (lines.length === 0) return [];
  const heading = { label: title, kind: vscode.QuickPickItemKind.Separator };
  return [heading, ...lines.map(line => (filter ? line : { ...line, alwaysShow: true }))];
}

function keyOf(line: vscode.QuickPickItem | undefined): string | undefined {
  return line && [line.label, line.detail].join('\n');
}
