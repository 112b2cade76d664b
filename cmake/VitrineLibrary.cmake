# One folder under src/ is one library. vitrine_library(NAME DEPENDS a b ...) globs the folder (a new file needs no edit
# here) and links it to the folders above it. tools/tidy checks that includes follow the same order.
function(vitrine_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LIBRARIES" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp
       ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.S)
  list(TRANSFORM ARG_DEPENDS PREPEND "vitrine_")
  if(sources)
    add_library(vitrine_${name} STATIC ${sources})
    target_compile_options(vitrine_${name} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
                           -Wno-gnu-anonymous-struct -Wno-nested-anon-types -Werror=return-type -Werror=switch)
    target_link_libraries(vitrine_${name} PUBLIC ${ARG_DEPENDS} ${ARG_LIBRARIES})
    target_include_directories(vitrine_${name} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
  else()
    add_library(vitrine_${name} INTERFACE)
    target_link_libraries(vitrine_${name} INTERFACE ${ARG_DEPENDS} ${ARG_LIBRARIES})
    target_include_directories(vitrine_${name} INTERFACE ${CMAKE_CURRENT_SOURCE_DIR})
  endif()
endfunction()

# vitrine_unit_tests(NAME DEPENDS libs): every tests/unit/NAME/*_test.cpp becomes one GoogleTest program `test_NAME`.
function(vitrine_unit_tests name)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  if(NOT sources)
    return()
  endif()
  string(REPLACE "/" "_" target ${name})
  add_executable(test_${target} ${sources})
  list(TRANSFORM ARG_DEPENDS PREPEND "vitrine_")
  target_link_libraries(test_${target} PRIVATE ${ARG_DEPENDS} GTest::gmock GTest::gtest_main)
  target_compile_options(test_${target} PRIVATE -Wall -Wextra)
  gtest_discover_tests(test_${target} DISCOVERY_MODE PRE_TEST TEST_PREFIX "${target}." PROPERTIES TIMEOUT 120)
endfunction()
