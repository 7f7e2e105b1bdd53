import { element } from '../shared/dom.ts';

/** One of several views of which one is shown. */
export interface Tab {
  readonly id: string;
  readonly label: string;
  readonly panel: HTMLElement;
}

export interface Tabs {
  /** The row of tabs; the panels stand where the page puts them. */
  readonly element: HTMLElement;
  readonly shown: number;
  show(index: number): void;
}

/** A tab list as the ARIA practices have it: one stop of the Tab key, arrows, Home and End choose. */
export function createTabs(tabs: readonly Tab[], onShow: (index: number) => void): Tabs {
  let shown = -1;
  const buttons = tabs.map(({ id, label, panel }, i) => {
    const attributes = { role: 'tab', id: `tab-${id}`, 'aria-controls': `panel-${id}` };
    const made = element('button', { class: 'tab', attributes: { type: 'button', ...attributes } });
    made.append(label);
    made.addEventListener('click', () => show(i));
    panel.id = `panel-${id}`;
    panel.setAttribute('role', 'tabpanel');
    panel.setAttribute('aria-labelledby', `tab-${id}`);
    return made;
  });
  const show = (index: number): void => {
    if (index === shown || !tabs[index]) return;
    shown = index;
    tabs.forEach(({ panel }, i) => {
      panel.hidden = i !== index;
      buttons[i]?.setAttribute('aria-selected', i === index ? 'true' : 'false');
      buttons[i]?.setAttribute('tabindex', i === index ? '0' : '-1');
    });
    onShow(index);
  };
  const list = element(
    'div',
    { class: 'tabs', attributes: { role: 'tablist', 'aria-label': 'Layer maps' } },
    ...buttons,
  );
  list.addEventListener('keydown', event => {
    const last = tabs.length - 1;
    const targets: Partial<Record<string, number>> = {
      ArrowLeft: shown === 0 ? last : shown - 1,
      ArrowRight: shown === last ? 0 : shown + 1,
      Home: 0,
      End: last,
    };
    const target = targets[event.key];
    if (target === undefined) return;
    event.preventDefault();
    show(target);
    buttons[target]?.focus();
  });
  return {
    element: list,
    get shown() {
      return shown;
    },
    show,
  };
}
