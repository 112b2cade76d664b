@echo off
echo %1 and %2
set NUMBER=5
lua.exe -e "print(os.getenv([[NUMBER]]))"
type sample.txt | lua.exe -e "print(#io.read([[a]]))"
if exist sample.txt copy sample.txt copy.txt >nul
lua.exe -e "os.exit(9)" || echo failed
exit /b 4
