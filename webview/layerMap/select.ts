import { element } from '../shared/dom.ts';

/** A drop-down list whose options change: the toolkit's are fixed when it is made. */
export interface Select {
  readonly element: HTMLElement;
  readonly value: string;
  update(options: readonly SelectOption[], value: string): void;
}

export interface SelectOption {
  readonly value: string;
  readonly label: string;
}

export function createSelect(label: string, onChange: (value: string) => void): Select {
  const list = element('select', { class: 'select', attributes: { 'aria-label': label } });
  let drawn = '';
  list.addEventListener('change', () => onChange(list.value));
  return {
    element: element('label', { class: 'labelled' }, element('span', {}, label), list),
    get value() {
      return list.value;
    },
    update: (options, value) => {
      const next = JSON.stringify(options);
      if (next !== drawn) {
        drawn = next;
        const items = options.map(option =>
          element('option', { attributes: { value: option.value } }, option.label),
        );
        list.replaceChildren(...items);
      }
      if (list.value !== value) list.value = value;
    },
  };
}
