import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { caretInText, type Line, moveCaret, textOf } from "../pure/lines.js";
import { refusals, whoAllows } from "../pure/may.js";
import { endOfChange } from "../pure/undo.js";
import type { Call, Notes } from "../state/call.js";
import { copy } from "../state/link.js";
import { Icon } from "./icon.js";
import { Waiting } from "./waiting.js";

/** A plain text that everyone writes at once. */
export function NotesPanel({ call, notes }: { readonly call: Call; readonly notes: Notes }): JSX.Element {
  const lines = notes.lines.value;
  const mayWrite = call.may.value.write;
  const field = useRef<HTMLTextAreaElement>(null);
  const shown = useRef<readonly Line[]>([]);
  const isComposing = useRef(false);

  const show = (now: readonly Line[]): void => {
    if (!field.current || isComposing.current) return; // or what is being composed would be lost
    const [before, text] = [shown.current, textOf(now)];
    shown.current = now;
    if (field.current.value !== text) replaceText(field.current, before, now, text);
  };
  const write = (): void => {
    if (field.current && !isComposing.current) show(notes.edit(shown.current, field.current.value));
  };
  /** The browser's own undo forgets everything when others write. */
  const takeBack = (e: Event, again: boolean): void => {
    if (!field.current || isComposing.current || !mayWrite) return;
    e.preventDefault();
    const before = field.current.value;
    show(again ? notes.redo() : notes.undo());
    const { value } = field.current;
    if (value !== before) field.current.setSelectionRange(endOfChange(before, value), endOfChange(before, value));
  };
  useLayoutEffect(() => show(lines), [lines]);

  return (
    <>
      <textarea
        ref={field}
        class="notes"
        aria-label="Notes"
        placeholder={mayWrite ? "What is to be remembered: everyone in the room can write here at once, and read it." : "Nobody has written anything yet."}
        readOnly={!mayWrite}
        spellcheck={false}
        onInput={write}
        onKeyDown={(e) => {
          const step = undoKey(e);
          if (step) takeBack(e, step === "redo");
        }}
        onBeforeInput={(e) => {
          if (e.inputType === "historyUndo" || e.inputType === "historyRedo") takeBack(e, e.inputType === "historyRedo"); // from a menu
        }}
        onCompositionStart={() => (isComposing.current = true)}
        onCompositionEnd={() => {
          isComposing.current = false;
          write();
        }}
      />
      <div class="panel-foot notes-foot">
        <Waiting call={call} isPending={notes.isPending} />
        <p class="soft">{!mayWrite && `${refusals.notes}. ${whoAllows} `}Notes are kept as long as the room. Copy what you want to keep.</p>
        <button type="button" class="small" disabled={textOf(lines) === ""} onClick={() => void copy(textOf(lines), "Notes copied")}>
          <Icon name="duplicate" /> Copy the notes
        </button>
      </div>
    </>
  );
}

/** The keys of all systems: Ctrl+Z or ⌘Z, and Ctrl+Y or with Shift. */
function undoKey({ ctrlKey, metaKey, altKey, shiftKey, key }: KeyboardEvent): "undo" | "redo" | undefined {
  if (altKey || ctrlKey === metaKey) return undefined;
  if (key.toLowerCase() === "z") return shiftKey ? "redo" : "undo";
  return key.toLowerCase() === "y" && ctrlKey && !shiftKey ? "redo" : undefined;
}

/** Others have written: the caret stays in its line. */
function replaceText(field: HTMLTextAreaElement, before: readonly Line[], now: readonly Line[], text: string): void {
  const { value, selectionStart, selectionEnd, selectionDirection, scrollTop } = field;
  const isAsShown = value === textOf(before);
  const moved = (caret: number): number => (isAsShown ? moveCaret(before, now, caret) : caretInText(value, text, caret));
  const [start, end] = [moved(selectionStart), moved(selectionEnd)];
  field.value = text;
  field.setSelectionRange(start, end, selectionDirection);
  field.scrollTop = scrollTop;
}
