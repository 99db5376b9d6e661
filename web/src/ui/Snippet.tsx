/** Lines to paste, with a button that copies them. */
import { Button, CopyButton } from '@mantine/core';
import type { ReactNode } from 'react';
import { IconCheck, IconCopy } from './icons.ts';
import { Message } from './Message.tsx';
import { Scroll } from './Scroll.tsx';
import style from './Snippet.module.css';

interface SnippetProps {
  text: string;
  label?: string;
  /** What the button says, where there is more than one of them. */
  copy?: string;
  /** Takes all the room there is: tracebacks. */
  wide?: boolean;
}

export function Snippet({ text, label = 'Lines to paste', copy, wide }: SnippetProps) {
  return (
    <div className={style.snippet} data-wide={wide}>
      <Scroll className={style.scroll} aria-label={label}>
        <pre className={style.text}>{text}</pre>
      </Scroll>
      <Copy text={text} label={copy} />
    </div>
  );
}

export function Copy({ text, label = 'Copy' }: { text: string; label?: string | undefined }) {
  return (
    <CopyButton value={text}>
      {({ copied, copy }) => (
        <Button
          size="compact-xs"
          variant="default"
          onClick={copy}
          leftSection={copied ? <IconCheck size={13} aria-hidden="true" /> : <IconCopy size={13} aria-hidden="true" />}
        >
          {copied ? 'Copied' : label}
        </Button>
      )}
    </CopyButton>
  );
}

/** Nothing is there yet, and these lines change that. */
export function Hint({
  title,
  text,
  snippet,
  icon,
}: {
  title: string;
  text?: ReactNode;
  snippet: string;
  icon?: ReactNode;
}) {
  return (
    <Message title={title} text={text} icon={icon}>
      <Snippet text={snippet} />
    </Message>
  );
}

/** Address of this install as the browser sees it, mount prefix included. */
export function installUrl(root: string): string {
  return `${window.location.origin}${root}`;
}
