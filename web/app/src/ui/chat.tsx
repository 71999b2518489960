import { useSignal } from "@preact/signals";
import { limits } from "@parley-rtc/sdk";
import type { JSX } from "preact";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { timeOf } from "../pure/chat.js";
import { refusals, whoAllows } from "../pure/may.js";
import { findLinks } from "../pure/links.js";
import type { Call, ChatLine } from "../state/call.js";
import { isTouch } from "./tile.js";
import { say } from "../state/toasts.js";
import { lastRead } from "../state/view.js";
import { Icon } from "./icon.js";

/** Lines of one person within this time stand under one name. */
const togetherMs = 3 * 60_000;
/** Closer to the end than this counts as reading the newest. */
const nearEndPx = 80;

const drafts = new WeakMap<Call, string>();

export function ChatPanel({ call }: { readonly call: Call }): JSX.Element {
  const lines = call.chat.value;
  const now = new Date();
  const list = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const shown = useRef({ first: lines[0]?.id, last: lines.at(-1)?.id, height: 0 });
  useLayoutEffect(() => {
    if (!list.current) return;
    const { first, last, height } = shown.current;
    const newest = lines.at(-1);
    shown.current = { first: lines[0]?.id, last: newest?.id, height: list.current.scrollHeight };
    lastRead.value = newest?.id ?? "";
    // What was read stays where it is when older lines come above it.
    if (first !== lines[0]?.id && lines.some((l) => l.id === first)) list.current.scrollTop += list.current.scrollHeight - height;
    if (atEnd.current || (newest?.isOwn && newest.id !== last)) list.current.scrollTop = list.current.scrollHeight;
  }, [lines]);
  return (
    <>
      <div
        class="chat-lines"
        ref={list}
        role="log"
        aria-label="Messages"
        tabIndex={0}
        onScroll={(e) => {
          const { scrollHeight, scrollTop, clientHeight } = e.currentTarget;
          atEnd.current = scrollHeight - scrollTop - clientHeight < nearEndPx;
        }}
      >
        {lines.length === 0 && (
          <div class="empty">
            <Icon name="chat" />
            <strong>No messages yet</strong>
            <p>{call.may.value.write ? "Everyone in the room reads what you write, and so do those who come later." : "You read here what others write."}</p>
          </div>
        )}
        {call.hasOlderChat.value && <Older call={call} />}
        {lines.map((line, i) => (
          <Line key={line.id} line={line} goesOn={goesOn(line, lines[i - 1])} time={timeOf(line.at, now, undefined)} />
        ))}
      </div>
      {call.may.value.write ? <Composer call={call} /> : <p class="panel-foot soft">{`${refusals.chat}. ${whoAllows}`}</p>}
    </>
  );
}

function Older({ call }: { readonly call: Call }): JSX.Element {
  const isReading = useSignal(false);
  const read = async (): Promise<void> => {
    if (isReading.value) return;
    isReading.value = true;
    await call.readOlderChat();
    isReading.value = false;
  };
  return (
    <button type="button" class="small chat-older" aria-disabled={isReading.value} onClick={() => void read()}>
      {isReading.value ? "Reading…" : "Earlier messages"}
    </button>
  );
}

/** Whether a line stands under the name of the one before. */
function goesOn(line: ChatLine, before: ChatLine | undefined): boolean {
  return before !== undefined && before.from === line.from && line.at.getTime() - before.at.getTime() < togetherMs;
}

interface LineProperties {
  readonly line: ChatLine;
  readonly goesOn: boolean;
  readonly time: string;
}

/** There may be thousands: what has not changed is not made again, and not compared with what is on the page. */
function Line({ line, goesOn, time }: LineProperties): JSX.Element {
  return useMemo(() => article(line, goesOn, time), [line, goesOn, time]);
}

function article(line: ChatLine, goesOn: boolean, time: string): JSX.Element {
  return (
    <article class={`chat-line${line.isOwn ? " own" : ""}${goesOn ? " goes-on" : ""}`}>
      <header class={goesOn ? "hidden" : ""}>
        <strong>{line.isOwn ? "You" : line.name}</strong>
        <time dateTime={line.at.toISOString()}>{time}</time>
        {line.isPrivate && <em>only to you two</em>}
      </header>
      <p>
        {findLinks(line.text).map((part, i) =>
          part.is === "text" ? (
            part.text
          ) : (
            <a key={i} href={part.href} target="_blank" rel="noopener noreferrer">
              {part.text}
            </a>
          ),
        )}
      </p>
    </article>
  );
}

function Composer({ call }: { readonly call: Call }): JSX.Element {
  const text = useSignal(drafts.get(call) ?? "");
  const isSending = useSignal(false);
  const field = useRef<HTMLTextAreaElement>(null);
  const write = (value: string): void => {
    text.value = value;
    drafts.set(call, value);
  };
  const send = async (): Promise<void> => {
    const written = text.value.trim();
    if (written === "" || isSending.value) return;
    const { length } = new TextEncoder().encode(written);
    if (length > limits.maxChatBytes) {
      say("This message is too long.", `It has ${length} bytes, and ${limits.maxChatBytes} can be sent at once: send it in parts.`);
      return;
    }
    isSending.value = true;
    try {
      await call.sendChat(written);
      if (text.peek().trim() === written) write(""); // else one has gone on writing, while the connection was lost perhaps
    } catch {
      say("The message was not sent.", "It is still in the field: try again.");
    } finally {
      isSending.value = false;
      field.current?.focus();
    }
  };
  const keyDown = (e: KeyboardEvent): void => {
    if (e.key !== "Enter" || e.shiftKey || e.isComposing || isTouch()) return;
    e.preventDefault();
    void send();
  };
  return (
    <form
      class="composer"
      onSubmit={(e) => {
        e.preventDefault();
        void send();
      }}
    >
      <textarea
        ref={field}
        rows={1}
        aria-label="Message to everyone"
        placeholder="Message to everyone"
        value={text.value}
        onInput={(e) => write(e.currentTarget.value)}
        onKeyDown={keyDown}
      />
      <button type="submit" class="primary round" aria-label="Send" disabled={text.value.trim() === "" || isSending.value}>
        <Icon name="send" />
      </button>
    </form>
  );
}
