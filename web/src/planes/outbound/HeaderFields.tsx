/** The headers that an endpoint gets: the values of those there are stay, unless somebody writes others over them. */
import { ActionIcon, Button, Group, Input, Stack, TextInput } from '@mantine/core';
import { IconPlus, IconX } from '../../ui/icons.ts';
import style from './Outbound.module.css';
import { type Header, newHeader } from './written.ts';

interface HeaderFieldsProps {
  of: readonly Header[];
  onChange: (to: Header[]) => void;
}

export function HeaderFields({ of, onChange }: HeaderFieldsProps) {
  const put = (key: number, change: Partial<Header>) =>
    onChange(of.map((header) => (header.key === key ? { ...header, ...change } : header)));
  return (
    <Input.Wrapper
      labelElement="div"
      label="Headers"
      description="Sent with each delivery. Values are sealed, never shown"
    >
      <Stack gap={4} mt={4} align="flex-start">
        {of.map((header, at) => (
          <Group key={header.key} gap="xs" wrap="nowrap" className={style.header}>
            <TextInput
              aria-label={`Name of header ${at + 1}`}
              placeholder="X-Name"
              value={header.name}
              disabled={header.kept}
              required
              maxLength={100}
              onChange={(event) => put(header.key, { name: event.currentTarget.value })}
            />
            <TextInput
              aria-label={`Value of ${header.name || `header ${at + 1}`}`}
              placeholder={header.kept ? 'kept, unless you write another' : 'value'}
              type="password"
              autoComplete="off"
              value={header.value}
              maxLength={1_000}
              onChange={(event) => put(header.key, { value: event.currentTarget.value })}
            />
            <ActionIcon
              variant="subtle"
              aria-label={`Remove ${header.name || `header ${at + 1}`}`}
              onClick={() => onChange(of.filter(({ key }) => key !== header.key))}
            >
              <IconX size={16} aria-hidden="true" />
            </ActionIcon>
          </Group>
        ))}
        <Button
          size="compact-sm"
          variant="subtle"
          leftSection={<IconPlus size={14} aria-hidden="true" />}
          onClick={() => onChange([...of, newHeader()])}
        >
          Add a header
        </Button>
      </Stack>
    </Input.Wrapper>
  );
}
