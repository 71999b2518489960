// A finger that stays where it is, as on a desktop a double click is.

import { useEffect, useRef } from "preact/hooks";

const pressMs = 500;
/** A finger that moves farther, in CSS pixels, means to scroll. */
const mostMove = 10;

export interface LongPress {
  readonly onPointerDown: (e: PointerEvent) => void;
  readonly onPointerMove: (e: PointerEvent) => void;
  readonly onPointerUp: () => void;
  readonly onPointerCancel: () => void;
  readonly onContextMenu: (e: Event) => void;
}

/** Handlers for an element. Long presses of buttons within it are not meant. */
export function useLongPress(does: () => void): LongPress {
  const press = useRef<{ readonly x: number; readonly y: number; readonly timer: number } | undefined>(undefined);
  const isTouched = useRef(false);
  const end = (): void => {
    clearTimeout(press.current?.timer);
    press.current = undefined;
  };
  useEffect(() => end, []);
  return {
    onPointerDown: (e) => {
      end();
      isTouched.current = e.pointerType === "touch";
      if (!isTouched.current || (e.target instanceof Element && e.target.closest("button"))) return;
      press.current = { x: e.clientX, y: e.clientY, timer: window.setTimeout(() => (end(), does()), pressMs) };
    },
    onPointerMove: (e) => {
      if (press.current && Math.hypot(e.clientX - press.current.x, e.clientY - press.current.y) > mostMove) end();
    },
    onPointerUp: end,
    onPointerCancel: end,
    // The browser's own menu would come at the same time.
    onContextMenu: (e) => {
      if (isTouched.current) e.preventDefault();
    },
  };
}
