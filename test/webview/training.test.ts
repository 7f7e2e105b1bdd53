import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from './fakeHosts.ts';
import { stateOf, trainingPage } from './trainingPage.ts';
import { job, progress, readyPlan, state } from './trainingStates.ts';

const panel = trainingPage();

describe('the training panel before a training', () => {
  it('says what to do, and does it', async () => {
    await panel.open(stateOf('empty'));
    assert.match(await panel.seen(), /Teach the SAE your domain/);
    await panel.button('Train Residual SAE on Workspace').click();
    await eventually(() => assert.deepEqual(panel.calls, [['train', null]]));
  });

  it('offers nothing where nothing can be trained', async () => {
    await panel.open(stateOf('obstacle'));
    assert.match(await panel.seen(), /Open a folder first/);
    assert.equal(await panel.page.getByRole('button').count(), 0);
  });

  it('shows how reading goes, then the plan', async () => {
    await panel.open(stateOf('reading'));
    assert.match(await panel.seen(), /Reading 142 files\s+40 %/);
    await panel.show(state({ plan: readyPlan() }));
    const text = await panel.seen();
    for (const fact of [
      /142 \(2\.9 MB\)/,
      /655,360 tokens/,
      /41,216 tokens in 14 files/,
      /120 Markdown/,
    ])
      assert.match(text, fact);
    assert.match(text, /Below 100 million/);
    assert.match(text, /3\.0 passes over the text/);
    assert.match(text, /about 4 min on this machine/);
    await panel.page.getByText('38 files were skipped').click();
    assert.match(await panel.seen(), /31: not text/);
  });

  it('changes tokens and remedy, and starts with them, by keyboard alone', async () => {
    await panel.open(state({ plan: readyPlan() }));
    const tokens = panel.page.getByRole('spinbutton', { name: 'Training tokens' });
    await tokens.focus();
    await panel.page.keyboard.press('Control+A');
    await panel.page.keyboard.type('655360');
    assert.match(await panel.seen(), /one pass over the text[\s\S]*about 3 min on/);
    await panel.page.keyboard.press('Tab');
    assert.match(await panel.focused(), /^Mix in general text: 25 %/);
    await panel.page.keyboard.press('Space');
    await panel.page.keyboard.press('Tab');
    assert.equal(await panel.focused(), 'Start Training');
    await panel.page.keyboard.press('Enter');
    await eventually(() =>
      assert.deepEqual(panel.calls, [['start', { tokens: 655_360, mixGeneral: 0.25 }]]),
    );
  });

  it('keeps what was typed while snapshots of another training arrive', async () => {
    await panel.open(state({ plan: readyPlan(), jobs: [job()] }));
    const tokens = panel.page.getByRole('spinbutton', { name: 'Training tokens' });
    await tokens.fill('1000000');
    await panel.show(state({ plan: readyPlan(), jobs: [job({ fraction: 0.64 })] }));
    assert.equal(await tokens.inputValue(), '1000000');
    await tokens.fill('0');
    assert.equal(await tokens.getAttribute('aria-invalid'), 'true');
    await panel.button('Start Training').click({ force: true });
    await panel.button(/^Cancel$/).click();
    await eventually(() => assert.deepEqual(panel.calls, [['dropPlan', null]]));
  });

  it('knows what of the time depends on the tokens', async () => {
    const plan = { ...readyPlan().plan, tokens: 100_000, seconds: 600, secondsPerToken: 0.0006 };
    const choice = { tokens: 100_000, mixGeneral: 0 };
    await panel.open(state({ plan: readyPlan({ plan, choice }) }));
    assert.match(await panel.seen(), /about 10 min on/);
    await panel.page.getByRole('spinbutton', { name: 'Training tokens' }).fill('300000');
    assert.match(await panel.seen(), /about 12 min on/);
  });

  it('counts the second training and the general text of a mixed one', async () => {
    const { corpus } = readyPlan().plan;
    const plan = {
      corpus: { ...corpus, tokens: 60_000 },
      tokens: 100_000,
      seconds: 600,
      secondsPerToken: 0.0006,
      secondsPerTextToken: 0.003,
    };
    const choice = { tokens: 100_000, mixGeneral: 0 };
    await panel.open(state({ plan: readyPlan({ plan, choice }) }));
    await panel.page.getByRole('checkbox', { name: /Mix in general text/ }).click();
    // 600 s, 60 s of steps, and 20,000 tokens of general text in 60 s.
    await eventually(async () => assert.match(await panel.seen(), /about 12 min on/));
  });

  it('takes the share of general text from the settings', async () => {
    await panel.open(state({ plan: readyPlan({ choice: { tokens: 1_000, mixGeneral: 0.4 } }) }));
    assert.ok(await panel.page.getByRole('checkbox', { name: /40 %/ }).isChecked());
    await panel.button('Start Training').click();
    await eventually(() =>
      assert.deepEqual(panel.calls, [['start', { tokens: 1_000, mixGeneral: 0.4 }]]),
    );
  });

  it('says why there is no plan', async () => {
    await panel.open(stateOf('planFailed'));
    assert.match(await panel.page.getByRole('alert').innerText(), /812 tokens/);
    assert.equal(await panel.button('Start Training').count(), 0);
    await panel.button('Show Log').click();
    await eventually(() => assert.deepEqual(panel.calls, [['showLog', null]]));
  });
});

describe('the training panel while something trains', () => {
  it('shows phase, numbers and curves with the base to compare with', async () => {
    await panel.open(stateOf('running'));
    const text = await panel.seen();
    for (const fact of [
      /Training · 63 %/,
      /step 298 of 480 · on WebGPU · about 1 min left/,
      /903 of 1,024/,
    ])
      assert.match(text, fact);
    assert.match(text, /12 %[\s\S]*1,220,608[\s\S]*21,437/);
    assert.match(text, /went on from its checkpoint/);
    const readouts = await panel.page.locator('.charts .plotReadout').allInnerTexts();
    assert.deepEqual(readouts.slice(1), ['0.831 · base 0.780', '0.856 · base 0.857']);
    assert.equal(await panel.page.locator('.phases [aria-current="step"]').innerText(), 'training');
    assert.match(text, /russian\s+queued/);
  });

  it('is read with the arrow keys', async () => {
    await panel.open(stateOf('running'));
    await panel.page.getByRole('img', { name: /^Loss/ }).focus();
    await panel.page.keyboard.press('Home');
    const readout = panel.page.locator('.charts .plotReadout').first();
    assert.equal(await readout.innerText(), 'step 3: 850');
  });

  it('pauses, resumes and cancels; the focus stays where it was while numbers change', async () => {
    await panel.open(state({ jobs: [job()] }));
    await panel.button('Pause').focus();
    await panel.show(state({ jobs: [job({ progress: progress({ step: 299 }) })] }));
    assert.equal(await panel.focused(), 'Pause');
    await panel.page.keyboard.press('Enter');
    await panel.show(stateOf('paused'));
    assert.match(await panel.seen(), /Paused at 63 %/);
    await panel.button('Resume').click();
    await panel.button('Cancel Training').click();
    await panel.button('Cancel the training of russian').click();
    await eventually(() =>
      assert.deepEqual(panel.calls, [
        ['pause', { id: 'a1' }],
        ['resume', { id: 'a1' }],
        ['cancel', { id: 'a1' }],
        ['cancel', { id: 'b2' }],
      ]),
    );
  });

  it('announces phases and ends, not numbers', async () => {
    await panel.open(state({ jobs: [job()] }));
    const live = panel.page.locator('.unseen[role=status]');
    assert.equal(await live.textContent(), 'chemistry: training');
    await panel.page.evaluate(() => {
      const region = document.querySelector('.unseen[role=status]');
      const global = globalThis as unknown as { said: string[] };
      global.said = [];
      if (region)
        new MutationObserver(() => global.said.push(region.textContent)).observe(region, {
          childList: true,
          characterData: true,
          subtree: true,
        });
    });
    for (let step = 300; step < 320; step++)
      await panel.show(state({ jobs: [job({ progress: progress({ step }) })] }));
    await panel.show(state({ jobs: [job({ progress: progress({ phase: 'measuring' }) })] }));
    await panel.show(stateOf('failed'));
    await eventually(async () =>
      assert.deepEqual(
        await panel.page.evaluate(() => (globalThis as unknown as { said: string[] }).said),
        ['chemistry: measuring', 'chemistry: failed'],
      ),
    );
  });

  it('says what failed and offers to resume', async () => {
    await panel.open(stateOf('failed'));
    assert.match(await panel.page.getByRole('alert').innerText(), /disk is full/);
    await panel.button('Resume').click();
    await panel.button('Remove').click();
    await eventually(() =>
      assert.deepEqual(panel.calls, [
        ['resume', { id: 'a1' }],
        ['remove', { id: 'a1' }],
      ]),
    );
  });

  it('draws a training of which nothing is known yet', async () => {
    await panel.open(stateOf('starting'));
    assert.match(await panel.seen(), /Starting the trainer/);
    assert.equal(await panel.page.getByText('not measured yet').count(), 3);
  });
});
