// Runs in every page of the app under test after page.js: sees and hears what the app shows and plays.
'use strict';
(() => {
  const { e2e } = window;

  /** Somebody's tile by its caption: "Ann", "Ann (you)", "Ann’s screen". */
  e2e.tile = (caption) => [...document.querySelectorAll('.tile')].find((tile) => {
    const label = tile.getAttribute('aria-label');
    return label === caption || label.startsWith(`${caption}, `);
  });

  const isShown = (video) => video !== null && video !== undefined && video.checkVisibility({ visibilityProperty: true }) && !video.paused;

  /** Waits until the element that find() gives shows a participant's picture, which moves. */
  e2e.watch = async (find, number, what, ms = 40000) => {
    const frames = new Set();
    let last;
    await e2e.until(() => {
      const video = find();
      last = isShown(video) ? e2e.look(video) : { kind: 'none' };
      if (last.kind === 'participant' && last.number === number) frames.add(last.frame);
      return frames.size >= 4;
    }, what, ms).catch((error) => {
      throw new Error(`${error.message}: ${frames.size} pictures matched, last ${JSON.stringify(last)}`);
    });
  };

  /** Waits until the tile with this caption shows a participant's picture, which moves, and the number of decoded frames grows. */
  e2e.see = async (caption, number) => {
    const video = () => e2e.tile(caption)?.querySelector('video');
    await e2e.watch(video, number, `the picture of ${caption}`);
    const decoded = async () => (await e2e.received(video()?.srcObject?.getVideoTracks()[0]))?.framesDecoded ?? 0;
    const first = await decoded();
    await e2e.until(async () => (await decoded()) > first + 3, `more decoded frames of ${caption} than ${first}`);
    return decoded();
  };

  const least = { size: 44, gap: 4 }; // CSS pixels

  /** Controls that a finger cannot hit well: too small, too close to another one, or in a bar that the screen does not hold. */
  e2e.cramped = () => {
    const place = (control) => control.getBoundingClientRect();
    const isHit = (control) => {
      const { left, top, width, height } = place(control);
      return control.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && control.contains(document.elementFromPoint(left + width / 2, top + height / 2));
    };
    const nameOf = (control) => control.ariaLabel ?? control.textContent.trim();
    const distance = (a, b) => Math.max(a.left - b.right, b.left - a.right, a.top - b.bottom, b.top - a.bottom);
    const isOff = ({ left, top, right, bottom }) => left < 0 || top < 0 || right > innerWidth || bottom > innerHeight;
    const controls = [...document.querySelectorAll('button, select, textarea')].filter(isHit);
    const apart = controls.filter((control) => control.role !== 'menuitem');
    return [
      ...controls.filter((control) => place(control).width < least.size || place(control).height < least.size).map((control) => `${nameOf(control)} is small`),
      ...apart.flatMap((a, i) => apart.slice(i + 1).filter((b) => distance(place(a), place(b)) < least.gap).map((b) => `${nameOf(a)} is close to ${nameOf(b)}`)),
      ...[...document.querySelectorAll('.bar button, .board-tools button, .menu')].filter((control) => isOff(place(control))).map((control) => `${nameOf(control)} is off the screen`),
    ];
  };

  /** Messages that lie over something that is open, where what is open can be seen: "“Ann joined” over .menu". */
  e2e.covering = () => {
    const style = Object.assign(document.createElement('style'), { textContent: '.toast { pointer-events: auto !important }' }); // those without buttons are no target
    document.head.append(style);
    const found = new Set();
    for (const open of document.querySelectorAll('.panel, .menu, .first-here')) {
      const { left, top, right, bottom } = open.getBoundingClientRect();
      for (let x = left + 2; x < right; x += 8) {
        for (let y = top + 2; y < bottom; y += 8) {
          const toast = document.elementFromPoint(x, y)?.closest('.toast');
          if (toast) found.add(`“${toast.innerText}” over ${open.className}`);
        }
      }
    }
    style.remove();
    return [...found];
  };

  /** Streams that the app plays aloud. */
  const played = () => [...document.querySelectorAll('audio')]
    .filter((audio) => !audio.paused && !audio.muted && audio.volume > 0 && audio.srcObject?.getAudioTracks().length > 0)
    .map((audio) => audio.srcObject);

  /** Waits until the app plays a tone. The app cleans its microphone's sound, so that it is weaker than what was played into it. */
  e2e.hearTone = async (frequency, ms = 40000) => {
    let last;
    await e2e.until(async () => {
      last = await Promise.all(played().map((stream) => e2e.tone(stream)));
      return last.some((tone) => Math.abs(tone.frequency - frequency) < 15 && tone.above > 20);
    }, `a tone of ${frequency} Hz`, ms).catch((error) => {
      throw new Error(`${error.message}: ${JSON.stringify(last)}`);
    });
  };

  /** Waits until the app plays nothing that can be heard. */
  e2e.hearSilence = (ms = 20000) => e2e.until(async () => {
    const tones = await Promise.all(played().map((stream) => e2e.tone(stream, 300)));
    return tones.every((tone) => tone.level < -70);
  }, 'silence', ms);
})();
