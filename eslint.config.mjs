// The import law of ARCHITECTURE.md, and the strictest rules that typescript-eslint ships.
import tseslint from 'typescript-eslint';

/** Which folders of src each layer may import, besides itself. */
const layers = {
  common: [],
  contracts: ['common'],
  messages: ['common', 'contracts'],
  analysis: ['common', 'contracts'],
  report: ['common', 'contracts'],
  hub: ['common', 'contracts'],
  onnx: ['common', 'contracts'],
  weights: ['common', 'contracts'],
  cuda: ['common', 'contracts', 'hub', 'weights'],
  models: ['common', 'contracts', 'onnx', 'weights'],
  saes: ['common', 'contracts', 'onnx', 'weights'],
  lime: ['common', 'contracts', 'onnx', 'weights', 'models'],
  training: ['common', 'contracts', 'onnx', 'weights', 'models', 'saes'],
  engine: [
    'common',
    'contracts',
    'messages',
    'report',
    'onnx',
    'weights',
    'models',
    'saes',
    'lime',
    'training',
  ],
  cli: [
    'common',
    'contracts',
    'report',
    'hub',
    'messages',
    'onnx',
    'weights',
    'models',
    'saes',
    'lime',
    'training',
    'cuda',
    'engine',
  ],
  editor: ['common', 'contracts', 'messages', 'analysis', 'report', 'hub', 'cuda'],
};

/** Packages that only one layer may import. */
const owners = { vscode: 'editor', 'onnxruntime-node': 'engine' };

/** Of a layer's files so many folders below its own: `../` and another layer's name is something else in each. */
function law(layer, depth) {
  const allowed = [layer, ...layers[layer]];
  const up = '../'.repeat(depth + 1);
  return {
    files: [`src/${layer}/${'*/'.repeat(depth)}*.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: Object.entries(owners)
            .filter(([, owner]) => owner !== layer)
            .map(([name, owner]) => ({ name, message: `Only src/${owner} imports ${name}.` })),
          patterns: Object.keys(layers)
            .filter(other => !allowed.includes(other))
            .map(other => ({
              group: [`${up}${other}/**`, `**/src/${other}/**`],
              message: `src/${layer} must not import src/${other} (ARCHITECTURE.md, import law).`,
            }))
            .concat({ group: ['**/webview/**'], message: 'src never imports webview.' }),
        },
      ],
    },
  };
}

const deepest = 3;

export default tseslint.config(
  { ignores: ['dist/**', 'out/**', 'node_modules/**', 'src/kernel/**', '.cache/**'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: {
        project: [
          './tsconfig.json',
          './tsconfig.pure.json',
          './tsconfig.editor.json',
          './tsconfig.webview.json',
          './test/webview/tsconfig.json',
          './test/editor/tsconfig.json',
        ],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      'max-lines': ['error', 400],
      'max-params': ['error', 6],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/prefer-readonly': 'error',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportDefaultDeclaration', message: 'Named exports only.' },
        { selector: 'ExportAllDeclaration', message: 'No barrels.' },
        { selector: 'TSEnumDeclaration', message: 'String unions, not enums.' },
      ],
    },
  },
  ...Object.keys(layers).flatMap(layer =>
    Array.from({ length: deepest + 1 }, (_, depth) => law(layer, depth)),
  ),
  {
    files: ['webview/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: '/src/(?!common/|contracts/|messages/|report/)',
              message: 'webview imports only common, contracts, messages and report.',
            },
          ],
        },
      ],
    },
  },
  {
    // node:test returns promises from describe and it that the runner itself awaits.
    files: ['test/**/*.ts'],
    rules: { '@typescript-eslint/no-floating-promises': 'off', 'max-lines': ['error', 600] },
  },
);
