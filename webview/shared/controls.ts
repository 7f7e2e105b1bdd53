import {
  provideVSCodeDesignSystem,
  vsCodeButton,
  vsCodeCheckbox,
  vsCodeDropdown,
  vsCodeOption,
  vsCodeTextField,
} from '@vscode/webview-ui-toolkit';
import { element, setText } from './dom.ts';

// The toolkit is archived: this file alone knows it, so that a successor has one file to take over.
// It inserts <style> elements. Under a strict CSP they need the page's nonce, which it reads from
// <meta property="csp-nonce" content="...">; the host writes that element and 'nonce-...' into style-src.
provideVSCodeDesignSystem().register(
  vsCodeButton(),
  vsCodeCheckbox(),
  vsCodeDropdown(),
  vsCodeOption(),
  vsCodeTextField(),
);

interface ToolkitField extends HTMLElement {
  value: string;
}

interface ToolkitCheckbox extends HTMLElement {
  checked: boolean;
}

/** A labelled button in the theme's primary or secondary colours. */
export function button(
  label: string,
  onClick: () => void,
  appearance: 'primary' | 'secondary' = 'primary',
): HTMLElement {
  const made = document.createElement('vscode-button');
  made.setAttribute('appearance', appearance);
  made.textContent = label;
  made.addEventListener('click', onClick);
  return made;
}

/** A control whose value the page reads and sets. */
export interface Control<T> {
  readonly element: HTMLElement;
  value: T;
}

export function searchField(
  label: string,
  placeholder: string,
  onInput: (text: string) => void,
): Control<string> {
  const field = document.createElement('vscode-text-field') as ToolkitField;
  field.setAttribute('placeholder', placeholder);
  // The toolkit takes the field's name from its text and from nowhere else.
  field.append(element('span', { class: 'unseen' }, label));
  field.setAttribute('spellcheck', 'false');
  field.addEventListener('input', () => onInput(field.value));
  return {
    element: field,
    get value() {
      return field.value;
    },
    set value(text) {
      if (field.value !== text) field.value = text;
    },
  };
}

export function checkbox(label: string, onChange: (checked: boolean) => void): Control<boolean> {
  const box = document.createElement('vscode-checkbox') as ToolkitCheckbox;
  box.textContent = label;
  // The toolkit also reports the changes that the page makes itself.
  let quiet = false;
  box.addEventListener('change', () => {
    if (!quiet) onChange(box.checked);
  });
  return {
    element: box,
    get value() {
      return box.checked;
    },
    set value(checked) {
      quiet = true;
      if (box.checked !== checked) box.checked = checked;
      quiet = false;
    },
  };
}

/** Gives a checkbox another label: the toolkit took its spoken name from the first one. */
export function relabel({ element: box }: Control<boolean>, label: string): void {
  setText(box, label);
  box.setAttribute('aria-label', label);
}

export function dropdown<T extends string>(
  label: string,
  options: readonly { readonly value: T; readonly label: string }[],
  onChange: (value: T) => void,
): Control<T | undefined> {
  const made = document.createElement('vscode-dropdown') as ToolkitField;
  made.setAttribute('aria-label', label);
  for (const { value, label: text } of options) {
    made.append(element('vscode-option' as 'option', { attributes: { value } }, text));
  }
  const chosen = (): T | undefined => options.find(({ value }) => value === made.value)?.value;
  made.addEventListener('change', () => {
    const value = chosen();
    if (value !== undefined) onChange(value);
  });
  return {
    element: made,
    get value() {
      return chosen();
    },
    set value(value) {
      if (value !== undefined && made.value !== value) made.value = value;
    },
  };
}
